// Guarded content of a node, on the content listener: only for holders of a content token that is
// bound to the certificate of their TLS connection. docs/life_of_a_token.md follows it.
#pragma once

#include <memory>
#include <string>

#include "content/library.h"
#include "node/content_access.h"
#include "node/delivery.h"
#include "node/site_view.h"
#include "server/exchange.h"

namespace larder::node {

class ContentPath final : public server::Handler {
 public:
  // The current view of the site, or null.
  using ViewSource = std::function<std::shared_ptr<const SiteView>()>;

  // All outlive the handler.
  ContentPath(Delivery& delivery, std::shared_ptr<LoopState> loop, const content::Library& library,
              ContentAuthorizer& authorizer, ViewSource view)
      : delivery_(delivery),
        loop_(std::move(loop)),
        library_(library),
        authorizer_(authorizer),
        view_(std::move(view)) {}

  net::Task<void> answer(server::Exchange& exchange) override;
  void finished(const server::Exchange& exchange) override;
  void refused(const server::Peer& peer, const server::Outcome& outcome,
               base::SteadyTime start) override;

 private:
  net::Task<void> deliver(server::Exchange& exchange, content::OpenFile file, std::string etag);
  net::Task<void> say(server::Exchange& exchange, int status, std::string line,
                      std::string lines = {});
  net::Task<void> challenge(server::Exchange& exchange, const ContentAccess& access,
                            const SiteView* view);

  Delivery& delivery_;
  std::shared_ptr<LoopState> loop_;
  const content::Library& library_;
  ContentAuthorizer& authorizer_;
  ViewSource view_;
};

}  // namespace larder::node
