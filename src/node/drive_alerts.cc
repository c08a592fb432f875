#include "node/drive_alerts.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/encoding.h"

namespace larder::node {

using std::chrono::seconds;

namespace {

constexpr seconds kShortest{10};
constexpr seconds kLongest{3600};
constexpr unsigned kGrowth = 4;
// A trouble that comes again after that is none of old.
constexpr std::chrono::hours kRelapse{6};

struct TroubleFacts {
  DriveTrouble trouble;
  std::string_view kind;  // of the alert
  std::string_view end;   // said of the drive
};
constexpr std::array<TroubleFacts, 6> kTroubles{{
    {DriveTrouble::Missing, "drive-missing", "is there again"},
    {DriveTrouble::Failing, "drive-failing", "takes writes again"},
    {DriveTrouble::Short, "drive-short", "has its whole size again"},
    {DriveTrouble::Pinned, "drive-pinned", "had room for what was new for an hour"},
    {DriveTrouble::ReadErrors, "drive-read-errors", "had no read errors for an hour"},
    {DriveTrouble::Damage, "drive-damaged", "had no damaged bytes for an hour"},
}};

const TroubleFacts& facts_of(DriveTrouble trouble) {
  return *std::ranges::find(kTroubles, trouble, &TroubleFacts::trouble);
}

std::string because(const std::string& error) {
  return error.empty() ? "" : " (" + error + ")";
}

std::string text_of(DriveTrouble trouble, const store::DriveStatistics& drive) {
  const std::string begin = "drive " + drive.path + " ";
  switch (trouble) {
    case DriveTrouble::Missing:
      return begin +
             "could not be opened or is gone: it is not used until the node is started again" +
             because(drive.write_error);
    case DriveTrouble::Failing:
      return begin +
             "does not take writes: what is new is not stored there, what it holds is served as "
             "far "
             "as it can be read" +
             because(drive.write_error);
    case DriveTrouble::Short:
      return begin + "has only " + base::format_byte_count(drive.limit) + " of its " +
             base::format_byte_count(drive.size) +
             ", because its file system is full: it evicts as if it were smaller";
    case DriveTrouble::Pinned:
      return begin +
             "is full of what is pinned, which is never evicted: what is new is passed through";
    case DriveTrouble::ReadErrors:
      return begin + "fails to read: what cannot be read is fetched from its origin again" +
             because(drive.read_error);
    case DriveTrouble::Damage:
      return begin +
             "holds bytes that are not what was written: they are not served but fetched from "
             "their origins again";
  }
  return begin;
}

}  // namespace

seconds well_before_told(DriveTrouble trouble, unsigned relapses) {
  // That of something that is counted lies in the past as soon as it is seen.
  if (trouble == DriveTrouble::Pinned || trouble == DriveTrouble::ReadErrors ||
      trouble == DriveTrouble::Damage) {
    return kLongest;
  }
  seconds while_well = kShortest;
  for (unsigned i = 0; i < relapses && while_well < kLongest; ++i) while_well *= kGrowth;
  return std::min(while_well, kLongest);
}

DriveAlerts::DriveAlerts(const alerts::Told& told, base::SteadyTime now) {
  for (const auto& [key, text] : told) {
    const std::size_t space = key.find(' ');
    const auto found = std::ranges::find(kTroubles, key.substr(0, space), &TroubleFacts::kind);
    if (space == std::string::npos || found == kTroubles.end()) continue;
    cases_[{key.substr(space + 1), found->trouble}] = {.text = text, .seen = now, .ended = {}};
  }
}

std::vector<alerts::News> DriveAlerts::look(std::span<const store::DriveStatistics> drives,
                                            base::SteadyTime now) {
  const auto is_known = [&](const std::string& path) {
    return std::ranges::find(drives, path, &store::DriveStatistics::path) != drives.end();
  };
  std::erase_if(cases_, [&](const auto& each) { return !is_known(each.first.first); });
  std::vector<alerts::News> news;
  for (const store::DriveStatistics& drive : drives) {
    const bool is_missing = drive.state == store::DriveState::Missing;
    // One that is not there is nothing else.
    if (is_missing) {
      std::erase_if(cases_, [&](const auto& each) {
        return each.first.first == drive.path && each.first.second != DriveTrouble::Missing;
      });
    }
    Counts& before = counts_[drive.path];
    const auto judge_one = [&](DriveTrouble trouble, bool is_there) {
      auto one = judge(drive.path, trouble,
                       is_there ? std::optional(text_of(trouble, drive)) : std::nullopt, now);
      if (one) news.push_back(std::move(*one));
    };
    judge_one(DriveTrouble::Missing, is_missing);
    if (is_missing) continue;
    const bool is_failing = drive.state == store::DriveState::Failing;
    judge_one(DriveTrouble::Failing, is_failing);
    // Of one that fails it is not known whether it would be full.
    if (!is_failing) judge_one(DriveTrouble::Short, drive.state == store::DriveState::Short);
    judge_one(DriveTrouble::Pinned, drive.not_evictable > before.not_evictable);
    judge_one(DriveTrouble::ReadErrors, drive.read_errors > before.read_errors);
    judge_one(DriveTrouble::Damage, drive.lost_slices > before.lost_slices);
    before = {.not_evictable = drive.not_evictable,
              .read_errors = drive.read_errors,
              .lost_slices = drive.lost_slices};
  }
  return news;
}

std::optional<alerts::News> DriveAlerts::judge(const std::string& path, DriveTrouble trouble,
                                               const std::optional<std::string>& text,
                                               base::SteadyTime now) {
  const auto found = cases_.find({path, trouble});
  const bool is_open = found != cases_.end() && !found->second.ended;
  if (text) {
    Case& entry = cases_[{path, trouble}];
    if (!is_open) {
      const bool is_relapse = entry.ended && now - *entry.ended < kRelapse;
      entry = {
          .text = *text, .seen = now, .ended = {}, .relapses = is_relapse ? entry.relapses + 1 : 0};
      return alerts::News{
          .kind = std::string(facts_of(trouble).kind), .text = *text, .about = {{"drive", path}}};
    }
    entry.seen = now;
    return std::nullopt;
  }
  if (!is_open) return std::nullopt;
  Case& entry = found->second;
  if (now - entry.seen < well_before_told(trouble, entry.relapses)) return std::nullopt;
  entry.ended = now;
  return alerts::News{.kind = "drive-recovered",
                      .text = "drive " + path + " " + std::string(facts_of(trouble).end),
                      .about = {{"drive", path}}};
}

alerts::Told DriveAlerts::told() const {
  alerts::Told told;
  for (const auto& [key, entry] : cases_) {
    if (!entry.ended)
      told.emplace(std::string(facts_of(key.second).kind) + " " + key.first, entry.text);
  }
  return told;
}

std::vector<std::string> DriveAlerts::sentences() const {
  std::vector<std::string> sentences;
  for (const auto& [key, entry] : cases_) {
    if (!entry.ended) sentences.push_back(alerts::printable(entry.text));
  }
  return sentences;
}

}  // namespace larder::node
