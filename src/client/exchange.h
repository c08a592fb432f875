// How code that speaks to a site asks for one HTTP exchange: HttpClient::perform in the product, a
// site in memory in tests.
#pragma once

#include <functional>

#include "client/http_client.h"

namespace larder::client {

using HttpExchange = std::function<base::Result<HttpResponse>(const HttpRequest&)>;

}  // namespace larder::client
