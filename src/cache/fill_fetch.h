// One transfer of a run of slices for a Fill. Its callbacks come from the origin thread. For
// fill*.cc only.
#pragma once

#include <atomic>

#include "cache/fill.h"
#include "cache/fill_table.h"

namespace larder::cache {

class Fill::Fetch final : public OriginSink, public std::enable_shared_from_this<Fetch> {
 public:
  Fetch(std::shared_ptr<Fill> fill, std::uint32_t first, std::uint32_t last)
      : fill_(std::move(fill)), next_(first), last_(last) {}

  bool on_head(const http::ResponseHead& head) override;
  Next on_body(std::span<const std::uint8_t> bytes) override;
  bool on_burst() override;
  void on_end(base::Status status) override;

 private:
  friend class Fill;
  bool open(const http::ResponseHead& head);
  bool open_without_range(const http::ResponseHead& head);
  bool go_on(const http::ResponseHead& head);
  bool go_on_whole_locked();
  base::Error refuse_locked(const http::ResponseHead& head);
  void pass_on(const http::ResponseHead& head);
  // False when the transfer is over already.
  bool begin_stream(Opening opening, const http::ResponseHead& head);
  void store_stream();
  void store_on_disk_thread();
  void storing_is_late();
  base::Status store_whole(std::uint64_t length);
  void settle_stream(bool is_stored);
  void remove_if_outdated(const Opening& opening, const store::Object& object) const;
  void create_object(Opening opening, const http::ResponseHead& head, bool whole);
  void note_not_taken();
  void not_created(Opening opening, const http::ResponseHead& head, bool whole,
                   const base::Error& error);
  base::Status create(const Opening& opening, bool whole);
  bool do_without_object();
  void announce(const StoredResponse& response, const std::shared_ptr<store::Object>& object,
                bool whole);
  void created(bool is_stored);
  bool enter_slice_locked(std::size_t coming);
  bool skips_locked();
  bool has_ended_locked() const;
  // Whether that slice is still to come by it.
  bool brings_locked(std::uint32_t index) const {
    return !is_over_ && index >= next_ && index <= last_;
  }
  bool finish_slice();

  const std::shared_ptr<Fill> fill_;
  OpeningJudge judge_;                          // set for the fetch that opens the fill
  std::optional<OriginRequest> without_range_;  // set when it opens the fill by a range
  bool needs_whole_ = false;                    // the range alone helps nobody
  std::uint64_t reader_ = 0;                    // whose request it is

  // Guarded by the fill's mutex.
  Origin::FetchId id_ = 0;
  std::uint32_t next_;  // slice that the next byte belongs to
  std::uint32_t last_;
  std::uint64_t position_ = 0;  // of the next byte in that slice
  bool is_whole_ = false;       // the answer runs to the end of the object, whatever is wanted
  bool ready_ = false;          // the object exists
  bool creating_ = false;       // a disk thread makes it
  std::atomic<bool> is_without_object_ = false;  // it did not wait for what is made for it
  std::atomic<bool> is_not_stored_ = false;      // nobody waits for the stream to be stored
  bool is_settled_ = false;                      // what becomes of the stream
  bool paused_ = false;                   // by us, until the disk or the readers have caught up
  bool lacks_memory_ = false;             // why it is paused
  bool is_over_ = false;                  // ended by us, for a good reason
  std::shared_ptr<PassQueue> pass_;       // the answer goes to one client
  std::shared_ptr<SharedStream> stream_;  // its length is not known
  http::ResponseHead stream_head_;
  std::shared_ptr<SliceBuffer> buffer_;  // of slice next_; null: its bytes are there already
  std::shared_ptr<SliceBuffer> spare_;   // for the slice after that
  bool is_in_slice_ = false;             // buffer_ says what happens to the bytes of slice next_
  base::SteadyTime asked_{};
  base::SteadyTime heard_{};  // the last byte; nothing before the head

  // Of the origin thread.
  std::uint64_t unannounced_ = 0;
  base::SteadyTime announced_{};
};

}  // namespace larder::cache
