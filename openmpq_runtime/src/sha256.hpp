// HMAC-SHA256 (FIPS 180-4, RFC 2104), for the proof of the token on TCP. Here, so that the library needs no other.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace openmpq {

using Digest = std::array<unsigned char, 32>;

Digest sha256(std::string_view message);
Digest hmac_sha256(std::string_view key, std::string_view message);

/// Compares in a time that does not tell where they differ.
bool equal(const Digest &a, const Digest &b) noexcept;

/// Random bytes from the operating system; throws std::system_error if it has none.
std::string random_bytes(std::size_t n);
std::string hex(std::string_view bytes);

} // namespace openmpq
