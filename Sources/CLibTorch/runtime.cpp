#include "CLibTorch.h"
#include <ATen/ATen.h>
#include <torch/version.h>
extern "C" const char *ct_version(void) { at::Tensor t = at::ones({2}); return TORCH_VERSION; }
