#include "client.hpp"

#include <atomic>
#include <pthread.h>

#include "linking.hpp"
#include "process.hpp"
#include "registry.hpp"

namespace openmpq {

namespace {

std::atomic<unsigned> forks{0};
[[maybe_unused]] const int at_fork = pthread_atfork(lock_registry, unlock_registry, [] {
  unlock_registry();
  ++forks;
});

Deadline answer_deadline() {
  return settings().timeout_s > 0 ? in_seconds(settings().timeout_s) : std::nullopt;
}

constexpr int max_attempts = 3; // of one request, where the bridge lives and the connection is lost again and again

/// One thread's connection. It outlives a lost connection and keeps its name, so that the bridge knows it again.
class Caller {
public:
  SharedResult call(const Job &job) {
    try {
      ready();
      return ask(job);
    } catch (const Unreachable &error) {
      return failure(OPENMPQ_UNREACHABLE, error.text);
    } catch (const Refused &error) {
      return failure(OPENMPQ_REFUSED, error.text);
    } catch (const Mistake &error) {
      return failure(OPENMPQ_INVALID, error.text);
    }
  }

  /// Connects if there is no connection that stands.
  void ready() {
    if (generation_ != generation()) { // a child of fork(): the connection is the parent's
      connection_.reset();
      client_ = new_client();
      generation_ = generation();
    }
    if (connection_ && connection_->closed())
      connection_.reset();
    if (!connection_)
      connection_ = connect(client_);
  }

private:
  SharedResult ask(const Job &job) {
    std::int64_t request = ++last_request_;
    std::string server = connection_->server();
    Deadline deadline = answer_deadline();
    for (int attempt = 1;; ++attempt) {
      try {
        connection_->submit(job, request, request, true);
        return answer(job, request, deadline);
      } catch (const TimedOut &) {
        return give_up(request);
      } catch (const Lost &lost) {
        connection_ = connect_again(client_);
        if (!connection_ || connection_->server() != server || attempt == max_attempts)
          return lost_in_the_middle(lost.text);
      }
    }
  }

  SharedResult answer(const Job &job, std::int64_t request, Deadline deadline) {
    while (true) {
      Json message = connection_->receive(deadline);
      if (message["is"].string() == "refused") {
        connection_.reset();
        return failure(OPENMPQ_REFUSED, message["text"].string());
      }
      if (message["request"].integer() == request) // else: a late answer to one that timed out
        return read_answer(message, job);
    }
  }

  SharedResult give_up(std::int64_t request) {
    try {
      connection_->cancel(request);
    } catch (const Lost &) {
      connection_.reset();
    }
    return timed_out();
  }

  std::string client_ = new_client();
  unsigned generation_ = generation();
  std::unique_ptr<Connection> connection_;
  std::int64_t last_request_ = 0;
};

Caller &caller() {
  thread_local Caller of_this_thread;
  return of_this_thread;
}

} // namespace

unsigned generation() noexcept {
  return forks.load(std::memory_order_relaxed);
}

SharedResult call(const Job &job) {
  return caller().call(job);
}

const std::vector<QPU> &pool_qpus() {
  static const std::vector<QPU> none;
  if (!known_qpus()) {
    try {
      caller().ready();
    } catch (const Unreachable &) {
      return none;
    } catch (const Refused &) {
      return none;
    }
  }
  return *known_qpus();
}

} // namespace openmpq
