/*
 * A Node-API addon: trim() gives back to the system what the process has and does not use (decision 0060): what malloc
 * keeps of memory that was freed, and the pages of the files of node and its libraries. These stay in the kernel's cache
 * of files, and are mapped again when they are used; most are of node's start. It takes milliseconds.
 */
#define NAPI_VERSION 8
#define _GNU_SOURCE
#include <link.h>
#include <malloc.h>
#include <node_api.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* What may be written, or was until it was relocated, is left alone. */
static int forget_file(struct dl_phdr_info *info, size_t size, void *data)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	int at;

	(void)size;
	(void)data;
	for (at = 0; at < info->dlpi_phnum; at++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[at];
		uintptr_t begin = (info->dlpi_addr + part->p_vaddr + page - 1) & ~(page - 1);
		uintptr_t end = (info->dlpi_addr + part->p_vaddr + part->p_filesz) & ~(page - 1);

		if (part->p_type == PT_LOAD && (part->p_flags & PF_W) == 0 && begin < end)
			(void)madvise((void *)begin, end - begin, MADV_DONTNEED);
	}
	return 0;
}

static napi_value trim(napi_env env, napi_callback_info info)
{
	(void)env;
	(void)info;
	malloc_trim(0);
	dl_iterate_phdr(forget_file, NULL);
	return NULL;
}

NAPI_MODULE_INIT()
{
	napi_value function;

	if (napi_create_function(env, "trim", NAPI_AUTO_LENGTH, trim, NULL, &function) != napi_ok ||
	    napi_set_named_property(env, exports, "trim", function) != napi_ok)
		return NULL;
	return exports;
}
