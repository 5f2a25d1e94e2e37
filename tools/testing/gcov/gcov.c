// SPDX-License-Identifier: GPL-2.0-only
/*
 * What of our modules runs, as the compiler counts it ("make coverage"), on any kernel:
 * CONFIG_GCOV_KERNEL, which no distribution has, would do the same.
 *
 * gcc puts a pointer for each object into a section (-fprofile-info-section), between
 * those of begin.c and end.c. When a module goes, what was counted is added to what it
 * has counted before; the file xfrm_ext_gcov in debugfs tells it:
 *
 *	file NAME VERSION STAMP CHECKSUM
 *	function IDENT LINENO_CHECKSUM CFG_CHECKSUM COUNTER...
 */
#include <linux/debugfs.h>
#include <linux/kallsyms.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "gcov.h"

/* gcc 12's; other versions have another length of merge */
#if !defined(CONFIG_CC_IS_GCC) || CONFIG_GCC_VERSION < 120000 || CONFIG_GCC_VERSION >= 130000
#error "the layout of what gcc counts is written down of gcc 12"
#endif
#define GCOV_COUNTERS	8

struct gcov_fn_info {
	const struct gcov_info *key;
	unsigned int ident;
	unsigned int lineno_checksum;
	unsigned int cfg_checksum;
	struct {
		unsigned int num;
		s64 *values;
	} arcs;
};

struct gcov_info {
	unsigned int version;
	struct gcov_info *next;
	unsigned int stamp;
	unsigned int checksum;
	const char *filename;
	const void *merge[GCOV_COUNTERS];
	unsigned int n_functions;
	struct gcov_fn_info **functions;
};

/**
 * struct kept - of a file, what modules that are gone have counted
 * @list: of all
 * @name: where gcc wants it
 * @info: a copy, with functions and values of its own
 */
struct kept {
	struct list_head list;
	char *name;
	struct gcov_info info;
};

/**
 * struct here - a module that counts
 * @mod: it
 * @begin: of the pointers to its files
 * @end: one behind the last
 */
struct here {
	const struct module *mod;
	struct gcov_info **begin;
	struct gcov_info **end;
};

static DEFINE_MUTEX(kept_lock);
static LIST_HEAD(kept_list);
static struct here here[4];
static struct dentry *file;

/* Counters of other kinds, which we do not ask for, would have to be merged otherwise */
void __gcov_merge_add(s64 *values, unsigned int num)
{
}
EXPORT_SYMBOL_GPL(__gcov_merge_add);

static void *symbol(const struct module *mod, const char *name)
{
	const struct mod_kallsyms *all =
		rcu_dereference_protected(mod->kallsyms, true);
	unsigned int i;

	for (i = 0; i < all->num_symtab; i++)
		if (!strcmp(all->strtab + all->symtab[i].st_name, name))
			return (void *)all->symtab[i].st_value;
	return NULL;
}

/* All symbols are there only while it is being loaded */
static void comes(const struct module *mod)
{
	struct gcov_info **begin = symbol(mod, "xe_gcov_begin");
	struct gcov_info **end = symbol(mod, "xe_gcov_end");
	int i;

	for (i = 0; begin && end && i < ARRAY_SIZE(here); i++) {
		if (here[i].mod)
			continue;
		here[i] = (struct here){ mod, begin + 1, end };
		return;
	}
}

static struct kept *kept_find(const struct gcov_info *info)
{
	struct kept *kept;

	list_for_each_entry(kept, &kept_list, list)
		if (kept->info.stamp == info->stamp &&
		    kept->info.checksum == info->checksum &&
		    !strcmp(kept->name, info->filename))
			return kept;
	return NULL;
}

/* What cannot be kept is missing in the end: who counts packets needs no care here */
static struct kept *kept_make(const struct gcov_info *info)
{
	struct kept *kept = kzalloc(sizeof(*kept), GFP_KERNEL | __GFP_NOFAIL);
	struct gcov_fn_info *fn;
	unsigned int i;

	kept->info = *info;
	kept->name = kstrdup(info->filename, GFP_KERNEL | __GFP_NOFAIL);
	kept->info.functions = kcalloc(info->n_functions, sizeof(fn),
				       GFP_KERNEL | __GFP_NOFAIL);
	for (i = 0; i < info->n_functions; i++) {
		/* Of an inline function that another object counts */
		if (!info->functions[i] || info->functions[i]->key != info)
			continue;
		fn = kmemdup(info->functions[i], sizeof(*fn),
			     GFP_KERNEL | __GFP_NOFAIL);
		fn->arcs.values = kcalloc(fn->arcs.num, sizeof(s64),
					  GFP_KERNEL | __GFP_NOFAIL);
		kept->info.functions[i] = fn;
	}
	list_add_tail(&kept->list, &kept_list);
	return kept;
}

static void keep(const struct gcov_info *info)
{
	struct kept *kept = kept_find(info) ?: kept_make(info);
	struct gcov_fn_info *fn;
	unsigned int i, n;

	for (i = 0; i < info->n_functions; i++) {
		fn = kept->info.functions[i];
		for (n = 0; fn && n < fn->arcs.num; n++)
			fn->arcs.values[n] += info->functions[i]->arcs.values[n];
	}
}

static void goes(const struct module *mod)
{
	struct gcov_info **info;
	int i;

	for (i = 0; i < ARRAY_SIZE(here); i++) {
		if (here[i].mod != mod)
			continue;
		for (info = here[i].begin; info < here[i].end; info++)
			keep(*info);
		here[i].mod = NULL;
	}
}

static int notify(struct notifier_block *nb, unsigned long state, void *mod)
{
	mutex_lock(&kept_lock);
	switch (state) {
	case MODULE_STATE_COMING:
		comes(mod);
		break;
	case MODULE_STATE_GOING:
		goes(mod);
		break;
	}
	mutex_unlock(&kept_lock);
	return NOTIFY_OK;
}

static struct notifier_block notifier = {
	.notifier_call = notify,
};

static int counted_show(struct seq_file *seq, void *v)
{
	const struct gcov_fn_info *fn;
	const struct kept *kept;
	unsigned int i, n;

	mutex_lock(&kept_lock);
	list_for_each_entry(kept, &kept_list, list) {
		seq_printf(seq, "file %s %u %u %u\n", kept->name,
			   kept->info.version, kept->info.stamp,
			   kept->info.checksum);
		for (i = 0; i < kept->info.n_functions; i++) {
			fn = kept->info.functions[i];
			if (!fn)
				continue;
			seq_printf(seq, "function %u %u %u", fn->ident,
				   fn->lineno_checksum, fn->cfg_checksum);
			for (n = 0; n < fn->arcs.num; n++)
				seq_printf(seq, " %lld", fn->arcs.values[n]);
			seq_putc(seq, '\n');
		}
	}
	mutex_unlock(&kept_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(counted);

static int __init gcov_init(void)
{
	int err = register_module_notifier(&notifier);

	if (err)
		return err;
	file = debugfs_create_file("xfrm_ext_gcov", 0400, NULL, NULL,
				   &counted_fops);
	/* "modprobe -r xfrm_ext" would take it along, and all that it knows */
	__module_get(THIS_MODULE);
	return 0;
}
module_init(gcov_init);

/* What it has kept is gone with it */
static void __exit gcov_exit(void)
{
	struct kept *kept, *next;
	unsigned int i;

	debugfs_remove(file);
	unregister_module_notifier(&notifier);
	list_for_each_entry_safe(kept, next, &kept_list, list) {
		for (i = 0; i < kept->info.n_functions; i++) {
			if (!kept->info.functions[i])
				continue;
			kfree(kept->info.functions[i]->arcs.values);
			kfree(kept->info.functions[i]);
		}
		kfree(kept->info.functions);
		kfree(kept->name);
		kfree(kept);
	}
}
module_exit(gcov_exit);

MODULE_DESCRIPTION("What of xfrm_ext runs");
MODULE_LICENSE("GPL");
