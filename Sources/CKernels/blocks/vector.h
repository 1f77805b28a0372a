/// All of this folder that has a variant per instruction set.
#include "codec.h"
#include "affine.h"
