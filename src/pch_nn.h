// Precompiled for the rooms that know modules: torch/nn/module.h costs every file that sees it three seconds. torch/torch.h is
// left out on purpose: it takes ten times as long.
#pragma once
#include "pch.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/module.h>
