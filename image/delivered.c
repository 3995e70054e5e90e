/*
 * Dovecot plugin: reports each delivery to the relay daemon, as a line on its socket: to whom, and
 * the author of each message, with TABs between. There is no answer; a daemon that does not read
 * keeps a delivery for two seconds at most, and the message is delivered in any case.
 *
 * It also answers for Dovecot which GUID a mailbox has: a delivery asks, and a Maildir would read
 * its whole list of messages for it, though the GUID is in the list's first line, and nothing else
 * of a delivery needs the list.
 *
 * In C, because a script is loaded for each delivery: a third of what a delivery costs (decision
 * 0057). Built for the Dovecot of the image, which refuses a plugin of another version.
 */
#include "lib.h"
#include "array.h"
#include "guid.h"
#include "str.h"
#include "message-address.h"
#include "module-dir.h"
#include "mail-namespace.h"
#include "mail-storage-hooks.h"
#include "mail-storage-private.h"
#include "mail-user.h"
#include "notify-plugin.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define DAEMON_SOCKET "/run/chatmail/delivered.sock"
#define MAX_AUTHOR_BYTES 320

/* Of one transaction: that of a delivery has one message. */
struct delivered_txn {
	pool_t pool;
	struct mailbox *box;
	string_t *authors;
	unsigned int messages;
};

extern const char *delivered_plugin_version;
extern const char *delivered_plugin_dependencies[];
void delivered_plugin_init(struct module *module);
void delivered_plugin_deinit(void);

const char *delivered_plugin_version = DOVECOT_ABI_VERSION;
const char *delivered_plugin_dependencies[] = { "notify", NULL };

static struct notify_context *context;
static int daemon_fd = -1;

static void disconnect(void)
{
	if (daemon_fd >= 0)
		(void)close(daemon_fd);
	daemon_fd = -1;
}

static bool connect_to_daemon(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = DAEMON_SOCKET };
	struct timeval patience = { .tv_sec = 2 };

	daemon_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (daemon_fd < 0)
		return FALSE;
	/* of connect, too */
	(void)setsockopt(daemon_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(daemon_fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return TRUE;
	disconnect();
	return FALSE;
}

/* False where the daemon has closed: it never says anything. */
static bool is_open(void)
{
	char nothing;

	if (daemon_fd < 0)
		return FALSE;
	if (recv(daemon_fd, &nothing, sizeof(nothing), MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR))
		return TRUE;
	disconnect();
	return FALSE;
}

static void report(const char *line)
{
	size_t length = strlen(line);

	if (!is_open() && !connect_to_daemon()) {
		i_warning("delivered: the relay daemon can't be reached: %m");
		return;
	}
	if (send(daemon_fd, line, length, MSG_NOSIGNAL) != (ssize_t)length) {
		i_warning("delivered: the relay daemon does not read: %m");
		disconnect();
	}
}

static void append_printable(string_t *to, const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x20 && *text != 0x7f)
			str_append_c(to, *text);
}

/* The first address in From, bounded; nothing where there is none. */
static void add_author(struct delivered_txn *txn, struct mail *mail)
{
	const struct message_address *from = NULL;
	const char *value;
	size_t start = str_len(txn->authors) + 1;

	str_append_c(txn->authors, '\t');
	if (mail_get_first_header(mail, "From", &value) > 0)
		from = message_address_parse(pool_datastack_create(), (const unsigned char *)value,
					     strlen(value), 1, 0);
	if (from == NULL || from->domain == NULL || from->mailbox == NULL)
		return;
	append_printable(txn->authors, from->mailbox);
	if (*from->domain != '\0') {
		str_append_c(txn->authors, '@');
		append_printable(txn->authors, from->domain);
	}
	if (str_len(txn->authors) > start + MAX_AUTHOR_BYTES)
		str_truncate(txn->authors, start + MAX_AUTHOR_BYTES);
}

static void *begin(struct mailbox_transaction_context *t)
{
	pool_t pool = pool_alloconly_create("delivered", 1024);
	struct delivered_txn *txn = p_new(pool, struct delivered_txn, 1);

	txn->pool = pool;
	txn->box = mailbox_transaction_get_mailbox(t);
	txn->authors = str_new(pool, 128);
	return txn;
}

static void saved(void *context, struct mail *mail)
{
	struct delivered_txn *txn = context;

	/* by a mail server, and not by a client's APPEND */
	if ((mail->box->flags & MAILBOX_FLAG_POST_SESSION) == 0)
		return;
	txn->messages++;
	T_BEGIN {
		add_author(txn, mail);
	} T_END;
}

/* The second recipient of one message gets a copy of what the first one has. */
static void copied(void *context, struct mail *source ATTR_UNUSED, struct mail *mail)
{
	saved(context, mail);
}

/*
 * Another delivery had the mailbox locked, so these messages have no numbers yet: they get them
 * before the next message of their author comes (decision 0024).
 */
static void give_numbers(struct mailbox *of)
{
	struct mailbox *box = mailbox_alloc(mailbox_get_namespace(of)->list, mailbox_get_vname(of), 0);

	if (mailbox_sync(box, 0) < 0)
		i_warning("delivered: %s", mailbox_get_last_internal_error(box, NULL));
	mailbox_free(&box);
}

static void end(void *context)
{
	struct delivered_txn *txn = context;

	pool_unref(&txn->pool);
}

static void committed(void *context, struct mail_transaction_commit_changes *changes)
{
	struct delivered_txn *txn = context;

	if (txn->messages > 0) T_BEGIN {
		struct mail_user *user = mail_storage_get_user(mailbox_get_storage(txn->box));

		if (seq_range_count(&changes->saved_uids) < txn->messages)
			give_numbers(txn->box);
		report(t_strconcat(user->username, str_c(txn->authors), "\n", NULL));
	} T_END;
	end(txn);
}

static const struct notify_vfuncs vfuncs = {
	.mail_transaction_begin = begin,
	.mail_save = saved,
	.mail_copy = copied,
	.mail_transaction_commit = committed,
	.mail_transaction_rollback = end,
};

#define DELIVERED_CONTEXT(obj) MODULE_CONTEXT_REQUIRE(obj, delivered_module)
static MODULE_CONTEXT_DEFINE_INIT(delivered_module, &mail_storage_module_register);

/* From "3 V<uid validity> N<next uid> G<guid>". False where there is no such line. */
static bool read_guid(struct mailbox *box, guid_128_t guid)
{
	const char *folder, *const *field;
	char text[256];
	ssize_t got;
	char *end;
	int fd;

	if (mailbox_get_path_to(box, MAILBOX_LIST_PATH_TYPE_CONTROL, &folder) <= 0)
		return FALSE;
	fd = open(t_strconcat(folder, "/dovecot-uidlist", NULL), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return FALSE;
	got = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (got <= 0)
		return FALSE;
	text[got] = '\0';
	end = strchr(text, '\n');
	if (end == NULL || strncmp(text, "3 ", 2) != 0)
		return FALSE;
	*end = '\0';
	for (field = t_strsplit(text, " "); *field != NULL; field++)
		if (**field == 'G')
			return guid_128_from_string(*field + 1, guid) == 0;
	return FALSE;
}

static int get_metadata(struct mailbox *box, enum mailbox_metadata_items items,
			struct mailbox_metadata *metadata_r)
{
	union mailbox_module_context *of = DELIVERED_CONTEXT(box);
	bool found = FALSE;

	if (items == MAILBOX_METADATA_GUID && (box->flags & MAILBOX_FLAG_POST_SESSION) != 0) T_BEGIN {
		found = read_guid(box, metadata_r->guid);
	} T_END;
	return found ? 0 : of->super.get_metadata(box, items, metadata_r);
}

static void allocated(struct mailbox *box)
{
	struct mailbox_vfuncs *v = box->vlast;
	union mailbox_module_context *of = p_new(box->pool, union mailbox_module_context, 1);

	of->super = *v;
	box->vlast = &of->super;
	v->get_metadata = get_metadata;
	MODULE_CONTEXT_SET_SELF(box, delivered_module, of);
}

static struct mail_storage_hooks hooks = { .mailbox_allocated = allocated };

void delivered_plugin_init(struct module *module)
{
	context = notify_register(&vfuncs);
	mail_storage_hooks_add(module, &hooks);
}

void delivered_plugin_deinit(void)
{
	mail_storage_hooks_remove(&hooks);
	notify_unregister(&context);
	disconnect();
}
