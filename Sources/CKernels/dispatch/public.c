/// The public functions: each one calls through the table in use.
#include "kernel_table.h"

#define DSO_PUBLIC_PROCEDURE(name, parameters, arguments) \
  void dso_##name parameters { dso_table_current()->name arguments; }
#define DSO_PUBLIC_FUNCTION(type, name, parameters, arguments) \
  type dso_##name parameters { return dso_table_current()->name arguments; }

DSO_KERNELS(DSO_PUBLIC_PROCEDURE, DSO_PUBLIC_FUNCTION)
