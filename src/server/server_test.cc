#include "server/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <functional>
#include <thread>

#include "base/file.h"
#include "base/testing.h"
#include "crypto/testing.h"
#include "server/router_handler.h"

namespace larder::server {
namespace {

// A blocking client socket that gives up after some seconds.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    const timeval limit{10, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    connected = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  void send(std::string_view text) { ASSERT_TRUE(base::write_all(fd_.get(), text)); }
  void finish() { ::shutdown(fd_.get(), SHUT_WR); }
  // Until `text` stands in what was received, or the end.
  std::string receive_until(std::string_view text) {
    std::string received;
    char buffer[4096];
    while (received.find(text) == std::string::npos) {
      const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (got <= 0) break;
      received.append(buffer, static_cast<std::size_t>(got));
    }
    return received;
  }
  std::string receive_all() { return receive_until(std::string(1, '\0') + "never"); }
  // Whether the server closes it before anything else comes.
  bool is_closed() {
    char byte = 0;
    return ::recv(fd_.get(), &byte, 1, 0) == 0;
  }
  bool connected = false;

 private:
  base::UniqueFd fd_;
};

class ServerTest : public base::FolderTest {
 protected:
  void SetUp() override {
    router_.add("GET", "/hello/{name}", [](const RouteRequest& request) {
      return text_reply(200, "hello " + request.captures.at("name"));
    });
    router_.add("POST", "/echo",
                [](const RouteRequest& request) { return text_reply(200, request.body); },
                {.body_limit = 1000, .body_folder = {}});
    router_.add("PUT", "/file",
                [](const RouteRequest& request) {
                  return text_reply(200, base::read_file(request.body_file, 1 << 20).value_or("?"));
                },
                {.body_limit = 1 << 20, .body_folder = folder_});
    router_.add_task("GET", "/slow", [](RouteRequest) -> net::Task<Reply> {
      co_await net::sleep_for(std::chrono::milliseconds(1));
      co_return text_reply(200, "slept");
    });
    router_.add("GET", "/large", [this](const RouteRequest&) { return text_reply(200, large_); });
    start({});
  }
  ListenerSettings listener(std::string name, std::uint16_t port = 0) {
    ListenerSettings listener;
    listener.name = std::move(name);
    listener.address = "127.0.0.1";
    listener.port = port;
    listener.handler = route_with(router_, pool_);
    listener.limit_clients = true;
    return listener;
  }
  void start(const Limits& limits, unsigned threads = 2) {
    ServerSettings settings;
    settings.threads = threads;
    settings.limits = limits;
    server_.reset();
    auto server = Server::start({listener("test")}, settings);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    port_ = server_->port("test");
  }
  std::string exchange(std::string_view request) {
    Client client(port_);
    client.send(request);
    client.finish();
    return client.receive_all();
  }
  bool connections_become(const std::function<bool(std::size_t)>& so_many) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!so_many(server_->connection_count())) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  const std::string large_ = std::string(16 << 20, 'x');
  Router router_;
  net::WorkerPool pool_{2, 16};
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
};

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  const std::string answer = exchange(
      "GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\nGET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /hello/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::size_t a = answer.find("hello a");
  const std::size_t slept = answer.find("slept");
  const std::size_t b = answer.find("hello b");
  ASSERT_NE(b, std::string::npos) << answer;
  EXPECT_LT(a, slept);
  EXPECT_LT(slept, b);
}

TEST_F(ServerTest, TakesARequestThatArrivesByteByByte) {
  Client client(port_);
  for (const char c : std::string_view("GET /hello/slowly HTTP/1.1\r\nHost: x\r\n\r\n")) {
    client.send(std::string_view(&c, 1));
  }
  EXPECT_NE(client.receive_until("slowly").find("200 OK"), std::string::npos);
}

TEST_F(ServerTest, ReadsBodiesByLengthAndChunked) {
  EXPECT_NE(
      exchange(
          "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde")
          .find("\r\n\r\nabcde"),
      std::string::npos);
  EXPECT_NE(exchange("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                     "Connection: close\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")
                .find("\r\n\r\nabcde"),
            std::string::npos);
  EXPECT_NE(
      exchange("PUT /file HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxyz")
          .find("\r\n\r\nxyz"),
      std::string::npos);
}

TEST_F(ServerTest, RefusesBodiesBeyondTheLimitAndBrokenChunks) {
  EXPECT_NE(
      exchange("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n").find(" 413 "),
      std::string::npos);
  const std::string long_chunks =
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3e9\r\n" +
      std::string(1001, 'x') + "\r\n0\r\n\r\n";
  EXPECT_NE(exchange(long_chunks).find(" 413 "), std::string::npos);
  EXPECT_NE(exchange("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
                .find(" 400 "),
            std::string::npos);
}

TEST_F(ServerTest, SendsContinueToClientsThatWaitForIt) {
  Client client(port_);
  client.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ok");
  EXPECT_NE(client.receive_until("ok").find("200 OK"), std::string::npos);
}

TEST_F(ServerTest, GoesOnAfterABodyThatDidNotWaitForContinue) {
  Client client(port_);
  client.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nok"
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
      "3\r\ntwo\r\n0\r\n\r\n"
      "GET /hello/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answers = client.receive_all();
  EXPECT_EQ(answers.find("100 Continue"), std::string::npos);
  EXPECT_NE(answers.find("two"), std::string::npos);
  EXPECT_NE(answers.find("last"), std::string::npos);
}

TEST_F(ServerTest, NamesUnknownPathsMethodsAndBadRequests) {
  EXPECT_NE(exchange("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").find(" 404 "), std::string::npos);
  const std::string wrong_method = exchange("DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(wrong_method.find(" 405 "), std::string::npos);
  EXPECT_NE(wrong_method.find("Allow: POST"), std::string::npos);
  EXPECT_NE(exchange("GET / HTTP/1.1\r\n\r\n").find(" 400 "), std::string::npos) << "no Host";
  EXPECT_NE(exchange("GET /hello/a?x=1&x=2 HTTP/1.1\r\nHost: x\r\n\r\n").find(" 400 "),
            std::string::npos)
      << "a repeated parameter";
}

TEST_F(ServerTest, ClosesConnectionsThatDoNotFinishTheirHead) {
  Limits limits;
  limits.timeouts.header = std::chrono::milliseconds(50);
  start(limits);
  Client client(port_);
  client.send("GET /hello/a HTTP/1.1\r\nHos");
  EXPECT_EQ(client.receive_all().find("200"), std::string::npos);
  EXPECT_EQ(server_->counts().slow_heads, 1U);
}

TEST_F(ServerTest, ClosesConnectionsOnWhichNothingIsAsked) {
  // The longer one is beyond the time for which an idle connection keeps its memory.
  for (const int idle : {50, 1100}) {
    Limits limits;
    limits.timeouts.idle = std::chrono::milliseconds(idle);
    start(limits);
    Client fresh(port_);
    Client kept(port_);
    kept.send("GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(kept.receive_until("hello a").find("200"), std::string::npos);
    EXPECT_TRUE(kept.is_closed()) << idle;
    EXPECT_TRUE(fresh.is_closed()) << idle;
  }
}

TEST_F(ServerTest, CutsAReaderThatTakesNothingAndServesOthersMeanwhile) {
  Limits limits;
  limits.timeouts.stall = std::chrono::milliseconds(200);
  start(limits);
  Client reader(port_);
  reader.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  Client other(port_);
  while (server_->counts().slow_readers == 0) {
    other.send("GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_NE(other.receive_until("hello a").find("200"), std::string::npos);
  }
  EXPECT_LT(reader.receive_all().size(), large_.size());
}

TEST_F(ServerTest, ClosesWhatAClientOpensBeyondItsLimit) {
  Limits limits;
  limits.connections_per_client = 2;
  start(limits);
  Client first(port_);
  Client second(port_);
  for (Client* client : {&first, &second}) {
    client->send("GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\n");
    client->receive_until("hello a");
  }
  EXPECT_EQ(Client(port_).receive_all(), "");
  EXPECT_EQ(server_->counts().refused_client, 1U);
  limits.connections_per_client = 3;
  server_->set_limits(limits);
  EXPECT_NE(
      exchange("GET /hello/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").find("hello b"),
      std::string::npos);
}

TEST_F(ServerTest, TheConnectionThatHasBeenIdleLongestMakesRoom) {
  Limits limits;
  limits.connections = 3;
  start(limits, 1);
  const std::string request = "GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\n";
  Client busy(port_);  // opened first, and in the middle of its answer
  busy.send("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  std::string large = busy.receive_until("xxx");
  Client old(port_);
  Client young(port_);
  for (Client* client : {&old, &young, &old}) {
    client->send(request);
    client->receive_until("hello a");
  }
  // `young` has been idle longer now.
  Client comes(port_);
  comes.send(request);
  EXPECT_NE(comes.receive_until("hello a").find("200 OK"), std::string::npos);
  EXPECT_EQ(young.receive_all(), "");
  old.send(request);
  EXPECT_NE(old.receive_until("hello a").find("200 OK"), std::string::npos);
  EXPECT_EQ(server_->counts().made_room, 1U);
  EXPECT_EQ(server_->counts().refused_total, 0U);
  large += busy.receive_all();
  EXPECT_TRUE(large.ends_with(large_));
}

TEST_F(ServerTest, IdleConnectionsOfAnyLoopMakeRoomAndBusyOnesDoNot) {
  Limits limits;
  limits.connections = 4;
  start(limits);
  const std::string request = "GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\n";
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 40; ++i) {
    idle.push_back(std::make_unique<Client>(port_));
    idle.back()->send(request);
    ASSERT_NE(idle.back()->receive_until("hello a").find("200 OK"), std::string::npos) << i;
    ASSERT_LE(server_->connection_count(), 40U);
  }
  ASSERT_TRUE(connections_become([](std::size_t count) { return count <= 4; }));
  std::vector<std::unique_ptr<Client>> busy;
  for (int i = 0; i < 4; ++i) {
    busy.push_back(std::make_unique<Client>(port_));
    busy.back()->send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_NE(busy.back()->receive_until("xxx").find("200 OK"), std::string::npos);
  }
  EXPECT_EQ(server_->counts().refused_total, 0U);
  EXPECT_EQ(Client(port_).receive_all(), "");
  EXPECT_EQ(server_->counts().refused_total, 1U);
}

TEST_F(ServerTest, NoMoreAreServedThanTheLimitSaysHoweverManyComeAtOnce) {
  constexpr std::size_t kLimit = 4;
  Limits limits;
  limits.connections = kLimit;
  start(limits);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::unique_ptr<Client>> idle;
    for (std::size_t i = 0; i < kLimit; ++i) {
      idle.push_back(std::make_unique<Client>(port_));
      idle.back()->send("GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\n");
      ASSERT_NE(idle.back()->receive_until("hello a").find("200 OK"), std::string::npos);
    }
    // Each of them stays busy: its answer is more than a socket takes.
    std::vector<std::unique_ptr<Client>> come(3 * kLimit);
    std::atomic<std::size_t> served = 0;
    {
      std::vector<std::jthread> threads;
      for (auto& client : come) {
        threads.emplace_back([&] {
          client = std::make_unique<Client>(port_);
          client->send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
          if (client->receive_until("xxx").find("200 OK") != std::string::npos) ++served;
        });
      }
    }
    ASSERT_LE(served, kLimit) << "round " << round;
    come.clear();
    idle.clear();
    ASSERT_TRUE(connections_become([](std::size_t count) { return count == 0; }));
  }
}

TEST_F(ServerTest, SendsNoFasterThanALimitSaysAndAllOfIt) {
  Limits limits;
  limits.egress.client = 64 << 20;
  start(limits);
  const auto begin = std::chrono::steady_clock::now();
  const std::string answer =
      exchange("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  EXPECT_TRUE(answer.ends_with(large_));
  // 16 MiB at 64 MiB a second, less what an idle client may have at once.
  EXPECT_GT(spent.count(), 0.03);
}

TEST_F(ServerTest, ListenersComeAndGoWhileConnectionsStay) {
  Client client(port_);
  client.send("GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\n");
  client.receive_until("hello a");
  ASSERT_TRUE(server_->set_listeners({listener("other")}));
  EXPECT_EQ(server_->port("test"), 0);
  client.send("GET /hello/b HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(client.receive_until("hello b").find("200 OK"), std::string::npos);
  const std::uint16_t old_port = std::exchange(port_, server_->port("other"));
  ASSERT_NE(port_, 0);
  EXPECT_NE(
      exchange("GET /hello/c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").find("hello c"),
      std::string::npos);
  while (Client(old_port).connected) {  // the loops close it at their next tick
  }
}

TEST_F(ServerTest, AnAddressThatCannotBeBoundChangesNothing) {
  const auto other = Server::start({listener("other")}, {});
  ASSERT_TRUE(other);
  EXPECT_FALSE(server_->set_listeners({listener("new", (*other)->port("other"))}));
  EXPECT_EQ(server_->port("test"), port_);
  EXPECT_NE(
      exchange("GET /hello/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").find("hello a"),
      std::string::npos);
}

TEST_F(ServerTest, AnAddressThatCannotBeBoundChangesNothingOfTheOthers) {
  const auto other = Server::start({listener("other")}, {});
  ASSERT_TRUE(other);
  const auto congestion_control = [this] {
    EXPECT_TRUE(server_->is_responsive(std::chrono::seconds(10)));  // has done what was to be done
    std::array<char, 16> name{};
    socklen_t size = name.size();
    const auto descriptors = server_->listening_descriptors();
    EXPECT_EQ(
        ::getsockopt(descriptors.at(0).get(), IPPROTO_TCP, TCP_CONGESTION, name.data(), &size), 0);
    return std::string(name.data());
  };
  const std::string before = congestion_control();
  ListenerSettings same = listener("test");
  same.congestion_control = before == "reno" ? "cubic" : "reno";
  EXPECT_FALSE(server_->set_listeners({same, listener("new", (*other)->port("other"))}));
  EXPECT_EQ(congestion_control(), before);
  EXPECT_TRUE(server_->set_listeners({same}));
  EXPECT_EQ(congestion_control(), same.congestion_control);
}

TEST_F(ServerTest, EveryLoopTakesATurn) {
  EXPECT_TRUE(server_->is_responsive(std::chrono::seconds(10)));
}

TEST_F(ServerTest, StopsWithIdleConnectionsOpen) {
  Client client(port_);
  client.send("GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\n");
  client.receive_until("hello a");
  const Client silent(port_);
  ASSERT_TRUE(connections_become([](std::size_t count) { return count >= 2; }));
  server_->stop(std::chrono::hours(1));
  EXPECT_EQ(server_->connection_count(), 0U);
}

TEST_F(ServerTest, ServesNewClientsOnceWhileRunningAnswersEnd) {
  Client slow(port_);
  slow.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  std::string large = slow.receive_until("xxx");
  Client before(port_);  // has asked for nothing yet
  ASSERT_TRUE(connections_become([](std::size_t count) { return count >= 2; }));
  std::thread stopping([this] { server_->stop(std::chrono::hours(1)); });
  const std::string request = "GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\n";
  std::string answer;
  while (answer.find("Connection: close") == std::string::npos) {
    Client client(port_);
    ASSERT_TRUE(client.connected);
    client.send(request);
    answer = client.receive_until("hello a");
    ASSERT_NE(answer.find("200 OK"), std::string::npos);
  }
  Client twice(port_);
  twice.send(request + request);
  answer = twice.receive_all();
  EXPECT_EQ(answer.find("hello a"), answer.rfind("hello a")) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  before.send(request);
  EXPECT_NE(before.receive_all().find("hello a"), std::string::npos);
  large += slow.receive_all();
  EXPECT_TRUE(large.ends_with(large_));
  stopping.join();
}

TEST_F(ServerTest, RefusesNobodyUntilItIsGone) {
  server_->stop(std::chrono::seconds(10));
  EXPECT_TRUE(Client(port_).connected);
  auto open = server_->listening_descriptors();
  server_.reset();
  EXPECT_TRUE(Client(port_).connected);
  open.clear();
  EXPECT_FALSE(Client(port_).connected);
}

TEST_F(ServerTest, StopsInTheMiddleOfHandshakes) {
  const crypto::testing::Pair root = crypto::testing::make_root();
  const auto context =
      net::TlsContext::create({.identities = {{.chain_pem = root.certificate.to_pem(),
                                               .key_pem = root.key.to_pem().value()}}});
  ASSERT_TRUE(context) << context.error().message;
  std::atomic<int> failures = 0;
  ListenerSettings active = listener("active");
  active.tls = [&] { return *context; };
  active.on_handshake_failure = [&](std::string_view, std::string_view, const net::ShownIdentity*) {
    ++failures;
  };
  ListenerSettings inactive = active;
  inactive.name = "inactive";
  inactive.tls = [] { return nullptr; };
  ASSERT_TRUE(server_->set_listeners({active, inactive}));
  const Client silent(server_->port("active"));
  Client begun(server_->port("active"));
  begun.send("\x16\x03\x01");
  const Client unknown(server_->port("inactive"));
  ASSERT_TRUE(connections_become([](std::size_t count) { return count >= 3; }));
  server_->stop(std::chrono::seconds(1));
  EXPECT_EQ(server_->connection_count(), 0U);
  EXPECT_EQ(failures, 0);
}

TEST_F(ServerTest, StopsInTheMiddleOfRequestsAndCallsNobodySlow) {
  // What came with a request that is answered has been received.
  const std::string answered = "GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\n";
  Client head(port_);
  head.send(answered + "GET /hello/b HTTP/1.1\r\nHos");
  Client body(port_);
  body.send(answered + "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
  for (Client* const client : {&head, &body}) {
    ASSERT_NE(client->receive_until("hello a").find("hello a"), std::string::npos);
  }
  server_->stop(std::chrono::milliseconds(100));
  EXPECT_EQ(server_->connection_count(), 0U);
  EXPECT_EQ(server_->counts().slow_heads, 0U);
  EXPECT_EQ(server_->counts().slow_bodies, 0U);
}

TEST_F(ServerTest, RefusesAPortThatIsTaken) {
  ListenerSettings listener;
  listener.name = "second";
  listener.address = "127.0.0.1";
  listener.port = port_;
  listener.handler = route_with(router_, pool_);
  const auto second = Server::start({listener}, {});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("second"), std::string::npos);
}

TEST_F(ServerTest, ServesAUnixSocketWithPeerCredentials) {
  unsigned user = 12345;
  Router router;
  router.add("GET", "/", [&](const RouteRequest& request) {
    if (request.peer.credentials) user = request.peer.credentials->user;
    return text_reply(200, "ok");
  });
  ListenerSettings listener;
  listener.name = "control";
  listener.unix_path = folder_ + "/control.sock";
  listener.handler = route_with(router, pool_);
  const auto server = Server::start({listener}, {});
  ASSERT_TRUE(server) << server.error().message;
  struct stat facts{};
  ASSERT_EQ(::stat(listener.unix_path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0660U);
  const base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  listener.unix_path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_TRUE(base::write_all(fd.get(), "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  char buffer[1024];
  EXPECT_GT(::recv(fd.get(), buffer, sizeof buffer, 0), 0);
  EXPECT_EQ(user, ::getuid());
}

}  // namespace
}  // namespace larder::server
