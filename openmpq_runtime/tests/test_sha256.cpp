#include <doctest/doctest.h>

#include "golden.hpp"
#include "sha256.hpp"

using namespace openmpq;

namespace {

std::string digits(const Digest &digest) {
  return hex({reinterpret_cast<const char *>(digest.data()), digest.size()});
}

std::string bytes(const std::string &hex) {
  std::string text;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    text += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return text;
}

} // namespace

TEST_CASE("digests of FIPS 180-4's examples, and of all lengths around a block") {
  CHECK(digits(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digits(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digits(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(digits(sha256(std::string(1'000'000, 'a'))) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  CHECK(digits(sha256(std::string(64, 'x'))) != digits(sha256(std::string(63, 'x'))));
}

TEST_CASE("the proofs of a token are those of the Python side") {
  Json golden = golden_file("hmac");
  std::string token = golden["token"].string(), ours = bytes(golden["client_challenge"].string()),
              theirs = bytes(golden["server_challenge"].string());
  CHECK(digits(hmac_sha256(token, "openmpq-client" + ours + theirs)) == golden["client_proof"].string());
  CHECK(digits(hmac_sha256(token, "openmpq-server" + theirs + ours)) == golden["server_proof"].string());
}

TEST_CASE("random bytes differ") {
  CHECK(random_bytes(16) != random_bytes(16));
}
