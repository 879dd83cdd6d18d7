#include "relay.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "sha256.hpp"
#include "stream.hpp"

extern char **environ;

namespace openmpq {

namespace {

/// Slurm's name of the node, where it has one: nodes that share a machine share its host name.
std::string node_name() {
  if (const char *name = std::getenv("SLURMD_NODENAME"); name && *name)
    return name;
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

/// A folder that is only ours; empty if there is none. Not $TMPDIR: it may differ between ranks, and be long.
std::string own_folder() {
  std::string path = "/tmp/openmpq-" + std::to_string(geteuid());
  mkdir(path.c_str(), 0700);
  struct stat found{};
  bool ours = lstat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode) && found.st_uid == geteuid();
  return ours && (found.st_mode & 077) == 0 ? path : "";
}

/// As long as it lives, nobody else of this user starts a relay on this node.
class Alone {
public:
  explicit Alone(const std::string &path) : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    while (fd_ >= 0 && flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~Alone() {
    if (fd_ >= 0)
      close(fd_);
  }
  Alone(const Alone &) = delete;
  Alone &operator=(const Alone &) = delete;

private:
  int fd_;
};

bool answers(const Settings &settings, const std::string &address) {
  try {
    Stream probe(address, in_seconds(settings.connect_timeout_s));
    return true;
  } catch (const Unreachable &) {
    return false;
  }
}

std::vector<char *> environment() { // LD_PRELOAD is for the program
  std::vector<char *> kept;
  for (char **each = environ; *each; ++each)
    if (std::strncmp(*each, "LD_PRELOAD=", 11) != 0)
      kept.push_back(*each);
  kept.push_back(nullptr);
  return kept;
}

/// Runs a command of the shell to its end, with nothing of the program's but its environment.
bool run(const std::string &command, const std::string &argument) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  for (int fd = 0; fd < 3; ++fd)
    posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string text = command + " \"$0\"", shell = "sh", option = "-c", last = argument;
  std::array<char *, 5> words{shell.data(), option.data(), text.data(), last.data(), nullptr};
  pid_t pid = 0;
  int error = posix_spawn(&pid, "/bin/sh", &files, &attributes, words.data(), environment().data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  int status = 0;
  while (error == 0 && waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) // the program takes the ends of all its children itself
      return true;
  return error == 0 && status == 0;
}

} // namespace

std::optional<std::string> relay_address(const Settings &settings) {
  if (settings.relay.empty() || settings.pool.rfind("tcp:", 0) != 0)
    return std::nullopt;
  std::string folder = own_folder();
  if (folder.empty())
    return std::nullopt;
  Digest digest = sha256(settings.pool + "\n" + node_name() + "\n" + settings.token);
  return "unix:" + folder + "/" + hex({reinterpret_cast<const char *>(digest.data()), 8});
}

bool start_relay(const Settings &settings, const std::string &address) {
  std::string path = address.substr(5);
  Alone alone(path.substr(0, path.rfind('/')) + "/lock");
  return answers(settings, address) || run(settings.relay, path);
}

} // namespace openmpq
