// Asynchronous calls: many jobs in flight on one connection of the process, and a thread that takes the answers.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "client.hpp"
#include "linking.hpp"
#include "process.hpp"

namespace openmpq {

namespace {

using Done = std::function<void(SharedResult)>;

class Async {
public:
  explicit Async() : generation_(generation()) {
    std::thread([this] { read(); }).detach();
  }

  void call(Job job, Done done) {
    Outcomes failed;
    {
      std::lock_guard lock(mutex_);
      waiting_.push_back({std::move(job), std::move(done), deadline()});
      send_what_fits(failed);
    }
    settle(failed);
  }

  const unsigned generation_;

private:
  struct Call {
    Job job;
    Done done;
    Deadline deadline;
  };
  using Outcomes = std::vector<std::pair<Done, SharedResult>>; // told after the lock is released

  static constexpr std::size_t max_in_flight = 256; // the bridge reads no more, see docs/openmpq-wire.md

  static Deadline deadline() { return settings().timeout_s > 0 ? in_seconds(settings().timeout_s) : std::nullopt; }

  static void settle(Outcomes &outcomes) {
    for (auto &[done, result] : outcomes)
      done(result);
    outcomes.clear();
  }

  /// Sends waiting calls while there is room (lock held).
  void send_what_fits(Outcomes &failed) {
    try {
      while (!waiting_.empty() && in_flight_.size() < max_in_flight) {
        if (!connection_) {
          connection_ = connect(client_);
          connected_.notify_one();
        }
        auto [sent, _] = in_flight_.emplace(++last_request_, std::move(waiting_.front()));
        waiting_.pop_front();
        send(sent->first, sent->second, failed);
      }
    } catch (const Unreachable &error) {
      fail_waiting(failed, failure(OPENMPQ_UNREACHABLE, error.text));
    } catch (const Refused &error) {
      fail_waiting(failed, failure(OPENMPQ_REFUSED, error.text));
    }
  }

  void send(std::int64_t request, Call &call, Outcomes &failed) {
    try {
      connection_->submit(call.job, request, in_flight_.begin()->first, false);
    } catch (const Lost &) {
      // the reading thread sees it too, and sends again what is in flight
    } catch (const Mistake &error) {
      failed.emplace_back(std::move(call.done), failure(OPENMPQ_INVALID, error.text));
      in_flight_.erase(request);
    }
  }

  void fail_waiting(Outcomes &failed, const SharedResult &result) {
    for (Call &call : waiting_)
      failed.emplace_back(std::move(call.done), result);
    waiting_.clear();
  }

  void read() {
    while (true) {
      Outcomes outcomes;
      std::shared_ptr<Connection> connection = wait_for_connection();
      try {
        bool limited = settings().timeout_s > 0;
        take(connection->receive(limited ? in_seconds(0.1) : std::nullopt), outcomes);
      } catch (const TimedOut &) {
        // a look at the deadlines, below
      } catch (const Lost &lost) {
        begin_again(lost.text, outcomes);
      } catch (const Refused &error) {
        fail_in_flight(outcomes, failure(OPENMPQ_REFUSED, error.text));
      } catch (const std::exception &error) { // no memory
        fail_in_flight(outcomes, failure(OPENMPQ_INTERNAL, error.what()));
      }
      give_up_late(outcomes);
      settle(outcomes);
    }
  }

  std::shared_ptr<Connection> wait_for_connection() {
    std::unique_lock lock(mutex_);
    connected_.wait(lock, [this] { return connection_ != nullptr; });
    return connection_;
  }

  void take(const Json &message, Outcomes &outcomes) {
    if (message["is"].string() == "refused")
      throw Refused{message["text"].string()};
    std::lock_guard lock(mutex_);
    auto found = in_flight_.find(message["request"].integer());
    if (found == in_flight_.end())
      return;
    outcomes.emplace_back(std::move(found->second.done), read_answer(message, found->second.job));
    in_flight_.erase(found);
    send_what_fits(outcomes);
  }

  void begin_again(const std::string &why, Outcomes &outcomes) {
    std::lock_guard lock(mutex_);
    std::string server = connection_->server();
    connection_ = in_flight_.empty() ? nullptr : connect_again(client_);
    if (connection_ && connection_->server() == server) {
      for (auto at = in_flight_.begin(); at != in_flight_.end();) {
        auto each = at++; // sending may take it out
        send(each->first, each->second, outcomes);
      }
    } else {
      fail(outcomes, lost_in_the_middle(why));
    }
    send_what_fits(outcomes);
  }

  void fail_in_flight(Outcomes &outcomes, const SharedResult &result) {
    std::lock_guard lock(mutex_);
    connection_ = nullptr;
    fail(outcomes, result);
    send_what_fits(outcomes);
  }

  void fail(Outcomes &outcomes, const SharedResult &result) {
    for (auto &[_, call] : in_flight_)
      outcomes.emplace_back(std::move(call.done), result);
    in_flight_.clear();
  }

  void give_up_late(Outcomes &outcomes) {
    std::lock_guard lock(mutex_);
    for (auto at = in_flight_.begin(); at != in_flight_.end();) {
      auto each = at++;
      if (!each->second.deadline || Clock::now() < *each->second.deadline)
        continue;
      try {
        connection_->cancel(each->first);
      } catch (const Lost &) {
      }
      outcomes.emplace_back(std::move(each->second.done), timed_out());
      in_flight_.erase(each);
    }
  }

  std::mutex mutex_;
  std::condition_variable connected_;
  std::string client_ = new_client();
  std::shared_ptr<Connection> connection_;
  std::deque<Call> waiting_;
  std::map<std::int64_t, Call> in_flight_;
  std::int64_t last_request_ = 0;
};

/// The process's one; never freed, since its thread runs until the process ends. A child of fork() makes its own.
Async &async() {
  static std::atomic<Async *> current{nullptr};
  Async *seen = current.load();
  while (!seen || seen->generation_ != generation()) {
    auto *fresh = new Async;
    if (current.compare_exchange_strong(seen, fresh))
      return *fresh;
    // Somebody was quicker; the one made here idles without a connection.
  }
  return *seen;
}

} // namespace

void call_async(Job job, std::function<void(SharedResult)> done) {
  async().call(std::move(job), std::move(done));
}

} // namespace openmpq
