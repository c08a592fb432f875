#include "store/orders.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/log.h"
#include "store/byte_order.h"
#include "store/index.h"
#include "store/layout.h"

namespace larder::store {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::string_view kMagic = "LARDEROR";
constexpr std::size_t kMostMarks = 1000;
constexpr std::size_t kLongestText = 4096;

void put_number(std::string& out, std::uint64_t value) {
  std::uint8_t bytes[8];
  store_le(bytes, value);
  out.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
}
void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size());
  out += text;
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::uint64_t number() {
    if (rest_.size() < 8) {
      is_good_ = false;
      rest_ = {};
      return 0;
    }
    const auto value = load_le<std::uint64_t>(base::as_bytes(rest_).data());
    rest_.remove_prefix(8);
    return value;
  }
  std::string text() {
    const std::uint64_t size = number();
    if (size > kLongestText || size > rest_.size()) {
      is_good_ = false;
      rest_ = {};
      return "";
    }
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }
  // How many items follow, at most `most`.
  std::uint64_t count(std::uint64_t most) {
    const std::uint64_t items = number();
    if (items > most) is_good_ = false;
    return is_good_ ? items : 0;
  }
  bool is_good() const { return is_good_; }
  bool is_at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool is_good_ = true;
};

bool applies(const PinOrder& order, std::string_view name) {
  if (!name.starts_with(order.text)) return false;
  return order.is_prefix || name.size() == order.text.size() || name[order.text.size()] == '\n';
}

bool applies(const OrderBook::Purge& purge, std::string_view name) {
  if (name.starts_with(purge.prefix)) return true;
  return purge.prefix.ends_with('\n') && name.size() + 1 == purge.prefix.size() &&
         purge.prefix.starts_with(name);
}

}  // namespace

std::string encode_orders(const OrderBook& book) {
  std::string out(kMagic);
  put_number(out, kFormatVersion);
  put_number(out, book.sequence);
  put_number(out, book.groups.size());
  for (const auto& group : book.groups) {
    put_text(out, group.name);
    put_number(out, group.purged_below);
  }
  put_number(out, book.purges.size());
  for (const auto& purge : book.purges) {
    put_text(out, purge.prefix);
    put_number(out, purge.below);
  }
  put_number(out, book.pins.size());
  for (const auto& pin : book.pins) {
    put_text(out, pin.text);
    put_number(out, pin.is_prefix ? 1 : 0);
  }
  if (book.missed_below > 0) put_number(out, book.missed_below);
  put_number(out, checksum_of(base::as_bytes(out)));
  return out;
}

std::optional<OrderBook> parse_orders(std::string_view file) {
  if (file.size() < kMagic.size() + 8 || !file.starts_with(kMagic)) return std::nullopt;
  const std::string_view content = file.substr(0, file.size() - 8);
  if (Reader(file.substr(content.size())).number() != checksum_of(base::as_bytes(content)))
    return std::nullopt;
  Reader reader(content.substr(kMagic.size()));
  if (reader.number() != kFormatVersion) return std::nullopt;
  OrderBook book;
  book.sequence = reader.number();
  for (std::uint64_t left = reader.count(kGroupLimit - 1); left > 0; --left) {
    std::string name = reader.text();
    book.groups.push_back({std::move(name), reader.number()});
  }
  for (std::uint64_t left = reader.count(kMostMarks); left > 0; --left) {
    std::string prefix = reader.text();
    book.purges.push_back({std::move(prefix), reader.number()});
  }
  for (std::uint64_t left = reader.count(kMostMarks); left > 0; --left) {
    std::string text = reader.text();
    book.pins.push_back({std::move(text), reader.number() != 0});
  }
  if (reader.is_good() && !reader.is_at_end()) {
    book.missed_below = reader.number();
    if (book.missed_below == 0 || book.missed_below > book.sequence) return std::nullopt;
  }
  if (!reader.is_good() || !reader.is_at_end()) return std::nullopt;
  return book;
}

Orders::Orders(OrderBook book, Save save)
    : save_(std::move(save)),
      book_(std::move(book)),
      has_purges_(!book_.purges.empty()),
      has_pins_(!book_.pins.empty()) {}

// Requires: changing_. What the drives do not take does not happen.
template <typename Change>
base::Status Orders::change(Change&& change) {
  OrderBook next = book_;
  ++next.sequence;
  change(next);
  const auto saved = save_(encode_orders(next));
  if (!saved) return std::unexpected(saved.error());
  const std::lock_guard lock(mutex_);
  book_ = std::move(next);
  if (*saved == Saved::Everywhere) on_all_present_ = book_.sequence;
  has_purges_ = !book_.purges.empty();
  has_pins_ = !book_.pins.empty();
  return {};
}

std::optional<std::uint16_t> Orders::known_group(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto at = std::ranges::find(book_.groups, name, &OrderBook::Group::name);
  if (at == book_.groups.end()) return std::nullopt;
  return static_cast<std::uint16_t>(at - book_.groups.begin() + 1);
}

std::uint16_t Orders::group(std::string_view name) {
  if (name.empty() || name.size() > kLongestText) return 0;
  if (const auto known = known_group(name)) return *known;
  const std::lock_guard one_at_a_time(changing_);
  if (const auto known = known_group(name)) return *known;
  if (book_.groups.size() + 1 >= kGroupLimit) return 0;
  const auto added =
      change([&](OrderBook& next) { next.groups.push_back({std::string(name), 0}); });
  if (!added) {
    base::log_warning("a group of objects cannot be written down", {{"group", std::string(name)}});
    return 0;
  }
  return static_cast<std::uint16_t>(book_.groups.size());
}

std::string Orders::group_name(std::uint16_t group) const {
  const std::lock_guard lock(mutex_);
  return group > 0 && group <= book_.groups.size() ? book_.groups[group - 1U].name : "";
}

OrderBook Orders::book() const {
  const std::lock_guard lock(mutex_);
  return book_;
}

base::Status Orders::purge_prefix(std::string_view prefix, std::uint64_t below) {
  if (prefix.size() > kLongestText) return fail(ErrorCode::InvalidArgument, "the name is too long");
  const std::lock_guard one_at_a_time(changing_);
  const auto same = std::ranges::find(book_.purges, prefix, &OrderBook::Purge::prefix);
  if (same == book_.purges.end() && book_.purges.size() >= kMostMarks) {
    return fail(ErrorCode::ResourceExhausted,
                "too many purges are being worked off: try again later");
  }
  const auto number = static_cast<std::size_t>(same - book_.purges.begin());
  return change([&](OrderBook& next) {
    if (number < next.purges.size()) {
      next.purges[number].below = std::max(next.purges[number].below, below);
    } else {
      next.purges.push_back({std::string(prefix), below});
    }
  });
}

base::Status Orders::purge_group(std::uint16_t group, std::uint64_t below) {
  const std::lock_guard one_at_a_time(changing_);
  if (group == 0 || group > book_.groups.size()) {
    return fail(ErrorCode::NotFound, "no such group of objects");
  }
  return change([&](OrderBook& next) {
    std::uint64_t& mark = next.groups[group - 1U].purged_below;
    mark = std::max(mark, below);
  });
}

// Requires: changing_. In a step of its own: a crash between two drives must not make the second
// one look as if it had been away.
bool Orders::find_present_drives() {
  if (on_all_present_ == 0) static_cast<void>(change([](OrderBook&) {}));
  return on_all_present_ > 0;
}

bool Orders::outdate_absent_drives() {
  const std::lock_guard one_at_a_time(changing_);
  if (is_absence_noted_) return true;
  if (!find_present_drives()) return false;
  is_absence_noted_ =
      change([&](OrderBook& next) { next.missed_below = on_all_present_; }).has_value();
  return is_absence_noted_;
}

bool Orders::purges_done(const std::vector<OrderBook::Purge>& done) {
  const std::lock_guard one_at_a_time(changing_);
  if (!find_present_drives()) return false;
  const auto changed = change([&](OrderBook& next) {
    if (!is_absence_noted_) next.missed_below = on_all_present_;
    std::erase_if(next.purges, [&](const OrderBook::Purge& purge) {
      return std::ranges::find(done, purge) != done.end();
    });
  });
  if (!changed) {
    base::log_warning("finished purges stay marked", {{"reason", changed.error().message}});
    return false;
  }
  is_absence_noted_ = true;
  return true;
}

bool Orders::is_purged(std::string_view name, std::uint64_t generation) const {
  if (!has_purges_) return false;
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(book_.purges, [&](const OrderBook::Purge& purge) {
    return generation < purge.below && applies(purge, name);
  });
}

base::Status Orders::pin(const PinOrder& order) {
  if (order.text.empty() || order.text.size() > kLongestText)
    return fail(ErrorCode::InvalidArgument, "the name is empty or too long");
  const std::lock_guard one_at_a_time(changing_);
  if (std::ranges::find(book_.pins, order) != book_.pins.end())
    return fail(ErrorCode::AlreadyExists, "that is pinned already");
  if (book_.pins.size() >= kMostMarks)
    return fail(ErrorCode::ResourceExhausted,
                "there are 1000 pins, of which a URL or prefix takes two, for http and https: "
                "unpin something first, or pin a prefix instead");
  return change([&](OrderBook& next) { next.pins.push_back(order); });
}

base::Status Orders::unpin(const PinOrder& order) {
  const std::lock_guard one_at_a_time(changing_);
  if (std::ranges::find(book_.pins, order) == book_.pins.end())
    return fail(ErrorCode::NotFound, "that is not pinned");
  return change([&](OrderBook& next) { std::erase(next.pins, order); });
}

bool Orders::is_pinned(std::string_view name) const {
  if (!has_pins_) return false;
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(book_.pins,
                             [&](const PinOrder& order) { return applies(order, name); });
}

}  // namespace larder::store
