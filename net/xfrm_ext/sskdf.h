/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XFRM_EXT_SSKDF_H
#define XFRM_EXT_SSKDF_H

#include <linux/types.h>

struct crypto_shash;

/* sskdf.c APIs: process context */
bool xe_sskdf_root(unsigned int len);
struct crypto_shash *xe_sskdf_alloc(const u8 *root, unsigned int len);
int xe_sskdf_expand(struct crypto_shash *hmac, const u8 *info,
		    unsigned int info_len, u8 *okm, unsigned int len);
void xe_sskdf_free(struct crypto_shash *hmac);

#endif /* XFRM_EXT_SSKDF_H */
