#include "checkpoint/hf_checkpoint.h"

#include <gtest/gtest.h>
TEST(A, Y) {}
