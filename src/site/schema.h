// The tables of a site, as steps forward. Stored on disk: a released step never changes.
//
// Times are seconds since 1970, hashes lower-case hexadecimal, lists JSON arrays of text.
#pragma once

#include <vector>

#include "db/database.h"

namespace larder::site {

std::vector<db::Migration> migrations();

}  // namespace larder::site
