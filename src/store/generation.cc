#include "store/generation.h"

#include "store/drive.h"

namespace larder::store {

Generation::~Generation() {
  slices.release();
  if (drive != nullptr && was_removed) {
    drive->release({.id = id, .location = location, .cost = cost});
  }
}

}  // namespace larder::store
