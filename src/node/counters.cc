#include "node/counters.h"

#include <cstdio>
#include <set>

namespace larder::node {

namespace {

struct Name {
  const char* name;
  const char* help;
};

constexpr std::array<Name, static_cast<std::size_t>(Counter::Count)> kNames{{
    {"larder_requests_total", "Requests answered or refused"},
    {"larder_hits_total", "Requests answered wholly from the store"},
    {"larder_misses_total", "Requests for which an origin was asked"},
    {"larder_passes_total", "Requests forwarded without storing the answer"},
    {"larder_refusals_total",
     "Requests refused with 4xx, with 503 by a limit such as upstream_rate, "
     "or with 504 where only a hit was allowed"},
    {"larder_errors_total", "Requests that failed with 5xx"},
    {"larder_cut_total", "Answers that could not be completed"},
    {"larder_client_left_total", "Answers whose client left, or was too slow, before their end"},
    {"larder_hit_bytes_total", "Body bytes sent from the store"},
    {"larder_miss_bytes_total", "Body bytes sent as they came from an origin"},
    {"larder_content_bytes_total", "Body bytes of guarded content sent"},
    {"larder_sent_bytes_total", "All bytes sent, heads included"},
    {"larder_tls_handshake_failures_total", "TLS handshakes that failed"},
    {"larder_content_denied_total", "Requests for guarded content that were denied"},
    {"larder_upstream_refused_total",
     "Requests refused with 503 because upstream_rate admits no further download"},
}};

void append(std::string& page, const char* name, const char* help, bool is_counter,
            const std::string& labels, double value, bool with_header) {
  if (with_header) {
    page += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name +
            (is_counter ? " counter\n" : " gauge\n");
  }
  char number[40];
  std::snprintf(number, sizeof number, "%.17g", value);
  page += name + labels + " " + number + "\n";
}

}  // namespace

std::shared_ptr<Counters> CounterSet::add_thread() {
  auto counters = std::make_shared<Counters>();
  const std::lock_guard lock(mutex_);
  threads_.push_back(counters);
  return counters;
}

CounterTotals CounterSet::totals() const {
  CounterTotals totals{};
  const std::lock_guard lock(mutex_);
  for (const auto& thread : threads_) {
    for (std::size_t i = 0; i < totals.size(); ++i)
      totals[i] += thread->get(static_cast<Counter>(i));
  }
  return totals;
}

std::string label_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

void CounterSet::print_requests(std::string& page) const {
  std::vector<const RequestCounters*> loops;
  const std::lock_guard lock(mutex_);
  loops.reserve(threads_.size());
  for (const auto& thread : threads_) loops.push_back(&thread->requests);
  requests.print(loops, page);
}

std::string print_metrics(const CounterTotals& totals, const std::vector<Gauge>& gauges) {
  std::string page;
  for (std::size_t i = 0; i < totals.size(); ++i) {
    append(page, kNames[i].name, kNames[i].help, true, "", static_cast<double>(totals[i]), true);
  }
  std::set<std::string> seen;
  for (const Gauge& gauge : gauges) {
    append(page, gauge.name.c_str(), gauge.help.c_str(), gauge.is_counter, gauge.labels,
           gauge.value, seen.insert(gauge.name).second);
  }
  return page;
}

}  // namespace larder::node
