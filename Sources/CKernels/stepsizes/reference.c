/// Learned step sizes, portable.
#include "../gridsearch/portable.h"

#include "steps.h"
