/// All of this folder that has a variant per instruction set.
#include "exact.h"
#include "halfquadratic.h"
#include "search.h"
