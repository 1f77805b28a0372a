/// Exponential functions of the vectors included before this file. Not-a-numbers pass through.
#ifndef DSO_EXPONENTIAL_H
#define DSO_EXPONENTIAL_H

// e^x = 2^n e^r with n whole and |r| <= ln(2)/2. The polynomials are our own Remez fits of e^r on that interval, relative error
// 1.9e-9 (degree 6) and 3.1e-18 (degree 11) before rounding; ln(2) is subtracted in two parts, the first exact when multiplied with n.

/// Within 1.5 units in the last place; overflow is infinity, underflow goes through the denormals to 0.
INLINE VF vf_exp(VF x) {
  x = vf_min(vf_set(90.0f), vf_max(vf_set(-110.0f), x));
  VF n = vf_round(vf_mul(x, vf_set(0x1.715476p+0f)));
  VF r = vf_fnma(n, vf_set(0x1.62e400p-1f), x);
  r = vf_fnma(n, vf_set(0x1.7f7d1cp-20f), r);
  VF p = vf_set(0x1.6ab922p-10f);
  p = vf_fma(p, r, vf_set(0x1.126d64p-7f));
  p = vf_fma(p, r, vf_set(0x1.55589cp-5f));
  p = vf_fma(p, r, vf_set(0x1.55540ap-3f));
  p = vf_fma(p, r, vf_set(0x1.fffffap-2f));
  p = vf_fma(p, r, vf_set(1.0f));
  p = vf_fma(p, r, vf_set(1.0f));
  return vf_ldexp(p, n);
}

/// Within 2 units in the last place.
INLINE VD vd_exp(VD x) {
  x = vd_min(vd_set(712.0), vd_max(vd_set(-750.0), x));
  VD n = vd_round(vd_mul(x, vd_set(0x1.71547652b82fep+0)));
  VD r = vd_fnma(n, vd_set(0x1.62e42fefa3800p-1), x);
  r = vd_fnma(n, vd_set(0x1.ef35793c76730p-45), r);
  VD p = vd_set(0x1.ad65df7cd9cf3p-26);
  p = vd_fma(p, r, vd_set(0x1.28b3465e09c5ap-22));
  p = vd_fma(p, r, vd_set(0x1.71df45a9033efp-19));
  p = vd_fma(p, r, vd_set(0x1.a019929893429p-16));
  p = vd_fma(p, r, vd_set(0x1.a01a010fe766bp-13));
  p = vd_fma(p, r, vd_set(0x1.6c16c18795ef6p-10));
  p = vd_fma(p, r, vd_set(0x1.1111111130feap-7));
  p = vd_fma(p, r, vd_set(0x1.555555554f30dp-5));
  p = vd_fma(p, r, vd_set(0x1.55555555554a1p-3));
  p = vd_fma(p, r, vd_set(0x1.0000000000010p-1));
  p = vd_fma(p, r, vd_set(1.0));
  p = vd_fma(p, r, vd_set(1.0));
  return vd_ldexp(p, n);
}

#endif
