// What an action that has to fail says.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "mugato/core/error.h"

namespace mugato::testing {

inline std::string message_of(const std::function<void()>& action, int exit_code = 2) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), exit_code);
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace mugato::testing
