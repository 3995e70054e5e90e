/*
 * Loaded into Dovecot (LD_PRELOAD): takes away the half second between a delivery and the news of it in IDLE.
 *
 * When the inotify watch on a mailbox fires, Dovecot does not look at once but starts a timer of 500 ms, to see
 * several changes in one go (NOTIFY_DELAY_MSECS, a constant in mailbox-watch.c and, for NOTIFY, in
 * mailbox-list-index-notify.c). No setting changes it, and for a chat it is most of the way a message takes.
 *
 * Timers are started through timeout_add_short() of libdovecot.so, which takes the caller's source file as an
 * argument. This function stands before the library's own and hands every call on; only where a 500 ms timer comes
 * from one of the two files it becomes 0 ms. That runs the look in the next turn of the same event loop: what the
 * timer protects (no work inside the inotify callback) stays as it is.
 *
 * If an update of Dovecot renames function or file, nothing matches, and the half second is back; nothing else
 * changes. test/services/mail.test.ts would notice.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

typedef void timeout_callback(void *context);
typedef void *add_timeout(unsigned int msecs, const char *file, unsigned int line, timeout_callback *callback,
			  void *context);

static const char *const waiting_files[] = { "mailbox-watch.c", "mailbox-list-index-notify.c" };

static int waits_for_mail(unsigned int msecs, const char *file)
{
	const char *slash, *name;
	size_t i;

	if (msecs != 500 || file == NULL)
		return 0;
	slash = strrchr(file, '/');
	name = slash == NULL ? file : slash + 1;
	for (i = 0; i < sizeof(waiting_files) / sizeof(waiting_files[0]); i++)
		if (strcmp(name, waiting_files[i]) == 0)
			return 1;
	return 0;
}

void *timeout_add_short(unsigned int msecs, const char *file, unsigned int line, timeout_callback *callback,
			void *context)
{
	static add_timeout *dovecots_own;

	if (dovecots_own == NULL)
		dovecots_own = (add_timeout *)dlsym(RTLD_NEXT, "timeout_add_short");
	return dovecots_own(waits_for_mail(msecs, file) ? 0 : msecs, file, line, callback, context);
}
