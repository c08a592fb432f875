#include "store/generation_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace larder::store {
namespace {

TEST(GenerationTable, HoldsWhatAMapHolds) {
  GenerationTable<ById> table;
  std::map<std::uint64_t, std::shared_ptr<Generation>> expected;
  std::mt19937_64 random(1);
  for (int step = 0; step < 200'000; ++step) {
    // Few names, some far apart: collisions and chains that wrap around.
    const std::uint64_t id = (random() % 300) << (random() % 2 * 40);
    if (random() % 2 == 0 && !expected.contains(id)) {
      const auto entry = std::make_shared<Generation>(nullptr, id, Key{}, 0, Location{});
      table.insert(entry);
      expected[id] = entry;
    } else {
      const auto taken = table.take(id);
      const auto known = expected.find(id);
      ASSERT_EQ(taken, known == expected.end() ? nullptr : known->second);
      if (known != expected.end()) expected.erase(known);
    }
    const std::uint64_t other = random() % 300;
    const auto known = expected.find(other);
    ASSERT_EQ(table.find(other), known == expected.end() ? nullptr : known->second);
    ASSERT_EQ(table.size(), expected.size());
  }
  std::size_t visited = 0;
  table.visit([&](const auto& entry) {
    ++visited;
    EXPECT_EQ(expected[entry->id], entry);
  });
  EXPECT_EQ(visited, expected.size());
}

}  // namespace
}  // namespace larder::store
