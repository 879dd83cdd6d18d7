#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "json.hpp"

using namespace openmpq;

namespace {

bool refused(std::string_view text) {
  try {
    Json::parse(text);
  } catch (const BadJson &) {
    return true;
  }
  return false;
}

} // namespace

TEST_CASE("values of all kinds are read") {
  Json json = Json::parse(R"( {"a":[1,-2.5e3,true,false,null],"b":{"c":"x"}} )");
  CHECK(json["a"].list().size() == 5);
  CHECK(json["a"].list()[0].integer() == 1);
  CHECK(json["a"].list()[1].number() == -2500.0);
  CHECK(json["a"].list()[2].boolean());
  CHECK(json["b"]["c"].string() == "x");
  CHECK(json["missing"]["deeper"].string().empty());
}

TEST_CASE("escapes are read, surrogate pairs too") {
  CHECK(Json::parse(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00")").string() == "\"\\/\b\f\n\r\tA\u00e9\U0001F600");
}

TEST_CASE("what is no JSON is refused") {
  for (const char *text :
       {"",    "{",    "[1,", "[1 2]", "{\"a\"}", "{\"a\":}",  "{a:1}",       "nul",    "tru", "+1",   "inf",
        "nan", "-nan", "1 2", "\"",    "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\n\"", "]",   "1e999"})
    CHECK_MESSAGE(refused(text), text);
  CHECK(refused(std::string(100'000, '[')));
}

TEST_CASE("a number is read as it was written") {
  std::mt19937_64 random(1);
  for (int i = 0; i < 10'000; ++i) {
    double value = std::ldexp(std::uniform_real_distribution<double>(-1, 1)(random), int(random() % 200) - 100);
    std::string text;
    append_json(text, value);
    CHECK(Json::parse(text).number() == value);
  }
}

TEST_CASE("random bytes never do more than be refused") {
  std::mt19937_64 random(2);
  const std::string_view alphabet = "{}[]\",:0123456789.eE+-truefalsn\\u \x01\xff";
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (std::size_t n = random() % 40; n; --n)
      text += alphabet[random() % alphabet.size()];
    refused(text);
  }
}

TEST_CASE("a string is written so that it reads the same") {
  std::string all;
  for (int c = 1; c < 128; ++c)
    all += static_cast<char>(c);
  std::string text;
  append_json(text, std::string_view(all));
  CHECK(Json::parse(text).string() == all);
}
