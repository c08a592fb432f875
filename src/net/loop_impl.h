// What the .cc files of src/net share and nobody else sees.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/loop.h"

namespace larder::net {

struct Loop::Impl {
  boost::asio::io_context context{1};
  boost::asio::steady_timer ticker{context};
};

}  // namespace larder::net
