#include "node/request_counters.h"

#include <cstdio>

namespace larder::node {

namespace {

constexpr std::array<const char*, static_cast<std::size_t>(Kind::Count)> kKindNames{
    "hit", "miss", "pass", "other"};
// Different reasons of errors; more are counted together.
constexpr std::size_t kMostReasons = 64;
constexpr const char* kRest = "other";

void header(std::string& page, const char* name, const char* type, const char* help) {
  page += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

void sample(std::string& page, const std::string& name, const std::string& labels,
            std::uint64_t value) {
  page += name + "{" + labels + "} " + std::to_string(value) + "\n";
}

std::string seconds(std::uint64_t microseconds) {
  char text[40];
  std::snprintf(text, sizeof text, "%.10g", static_cast<double>(microseconds) / 1e6);
  return text;
}

void print_histogram(std::string& page, const std::string& name, const std::string& label,
                     const Latency::Totals& totals) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < totals.buckets.size(); ++i) {
    count += totals.buckets[i];
    const std::string bound =
        i < Latency::kBounds.size() ? seconds(Latency::kBounds[i]) : std::string("+Inf");
    sample(page, name + "_bucket", label + ",le=\"" + bound + "\"", count);
  }
  page += name + "_sum{" + label + "} " + seconds(totals.microseconds) + "\n";
  sample(page, name + "_count", label, count);
}

using Histograms = std::array<Latency, static_cast<std::size_t>(Kind::Count)> RequestCounters::*;

void print_histograms(std::string& page, const char* name, const char* help,
                      const std::vector<const RequestCounters*>& loops, Histograms member) {
  header(page, name, "histogram", help);
  for (std::size_t kind = 0; kind < kKindNames.size(); ++kind) {
    Latency::Totals totals;
    for (const RequestCounters* loop : loops) {
      (loop->*member)[kind].add_to(totals);
      if (kind == static_cast<std::size_t>(Kind::Hit)) loop->at_once.add_to(totals);
    }
    print_histogram(page, name, std::string("cache=\"") + kKindNames[kind] + "\"", totals);
  }
}

}  // namespace

void Latency::add_to(Totals& totals) const {
  for (std::size_t i = 0; i < buckets_.size(); ++i) totals.buckets[i] += buckets_[i].get();
  totals.microseconds += sum_.get();
}

Kind kind_of(std::string_view cache) {
  if (cache == "hit") return Kind::Hit;
  if (cache == "miss") return Kind::Miss;
  if (cache == "pass") return Kind::Pass;
  return Kind::Other;
}

std::uint32_t RequestCounterSet::place_of_origin(const std::string& name) {
  constexpr auto kLast = static_cast<std::uint32_t>(RequestCounters::kOrigins - 1);
  const std::lock_guard lock(mutex_);
  const auto next = static_cast<std::uint32_t>(places_.size());
  if (next >= kLast && !places_.contains(name)) return kLast;
  return places_.emplace(name, next).first->second;
}

void RequestCounterSet::count_error(std::string_view reason) {
  const std::lock_guard lock(mutex_);
  std::string name(reason);
  std::ranges::replace(name, ' ', '-');  // as in the access log
  if (errors_.size() >= kMostReasons && !errors_.contains(name)) name = kRest;
  ++errors_[name];
}

void RequestCounterSet::count_refusal(int status) {
  const std::lock_guard lock(mutex_);
  ++refusals_[status];  // a handful: what this program answers itself
}

void RequestCounterSet::print(const std::vector<const RequestCounters*>& loops,
                              std::string& page) const {
  print_histograms(page, "larder_first_byte_seconds",
                   "From a request's arrival to the first byte of its answer", loops,
                   &RequestCounters::first_byte);
  print_histograms(page, "larder_request_seconds",
                   "From a request's arrival to the last byte of its answer", loops,
                   &RequestCounters::total);
  header(page, "larder_responses_total", "counter", "Answers by the class of their status");
  for (std::size_t i = 1; i < 6; ++i) {
    std::uint64_t count = 0;
    for (const RequestCounters* loop : loops) count += loop->classes[i].get();
    sample(page, "larder_responses_total", "class=\"" + std::to_string(i) + "xx\"", count);
  }
  const std::lock_guard lock(mutex_);
  header(page, "larder_errors_by_reason_total", "counter", "Requests that failed with 5xx");
  for (const auto& [reason, count] : errors_)
    sample(page, "larder_errors_by_reason_total", "reason=\"" + reason + "\"", count);
  header(page, "larder_refusals_by_status_total", "counter",
         "Requests refused with 4xx, with 503 by a limit such as upstream_rate, or with 504 where "
         "only a hit was allowed");
  for (const auto& [status, count] : refusals_)
    sample(page, "larder_refusals_by_status_total", "status=\"" + std::to_string(status) + "\"",
           count);
  struct Column {
    const char* name;
    const char* help;
    OwnCount OriginCounts::* member;
  };
  constexpr Column kColumns[] = {
      {"larder_origin_requests_total", "Requests by origin", &OriginCounts::requests},
      {"larder_origin_hits_total", "Requests answered wholly from the store, by origin",
       &OriginCounts::hits},
      {"larder_origin_errors_total", "Requests that failed or were cut, by origin",
       &OriginCounts::errors},
      {"larder_origin_hit_bytes_total", "Body bytes sent from the store, by origin",
       &OriginCounts::bytes_from_store},
      {"larder_origin_miss_bytes_total", "Body bytes sent as they came, by origin",
       &OriginCounts::bytes_from_origin},
  };
  std::map<std::string, std::uint32_t> places = places_;
  if (places.size() == RequestCounters::kOrigins - 1)
    places.emplace(kRest, static_cast<std::uint32_t>(RequestCounters::kOrigins - 1));
  for (const Column& column : kColumns) {
    header(page, column.name, "counter", column.help);
    for (const auto& [name, place] : places) {
      std::uint64_t count = 0;
      for (const RequestCounters* loop : loops)
        count += (loop->origins[place].*column.member).get();
      sample(page, column.name, "origin=\"" + name + "\"", count);
    }
  }
}

}  // namespace larder::node
