/// A product written a*b + c stays two roundings wherever the code does not ask for a fused one, so that variants agree, and machines that
/// have an instruction for it find the bits of those that have none. Every file that calculates includes this, most by way of kernel_table.h.
#ifndef DSO_CONTRACTION_H
#define DSO_CONTRACTION_H

#pragma STDC FP_CONTRACT OFF

#endif
