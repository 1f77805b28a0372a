/// All of this folder that has a variant per instruction set.
#include "halfquadratic.h"
#include "search.h"
