import { describe, expect, test } from "vitest";
import { ChatmailServerSpec } from "../../../src/api/chatmail-server.ts";
import { differences, readIni, specOfIni } from "../../../src/cli/import/chatmail-ini.ts";
import { foreignIni } from "../../helpers/foreign-relay.ts";

const domain = "nine.example.org";
const specOf = (more: string, options = {}) => specOfIni(readIni(foreignIni(domain, more)), options);

test("values, comments and lines that go on", () => {
  const text = "# c\n[params]\na = 1\n\nlist =\n  one\n  two\n; c\n b=x\nurl = https://x/?a=b\r\n[more]\na = 2\n";
  expect([...readIni(text)]).toEqual([
    ["a", "1"],
    ["list", "one two b=x"],
    ["url", "https://x/?a=b"],
    ["[more] a", "2"],
  ]);
});

test("what cmdeploy init writes is what is built in here: the domain alone", () => {
  expect(specOf("")).toMatchObject({ spec: { domain }, unknown: [], notes: [] });
});

describe("one key after the other", () => {
  test.each([
    { line: "max_user_send_per_minute = 90", spec: { accounts: { sendRatePerMinute: 90 } } },
    { line: "max_mailbox_size = 2G", spec: { accounts: { mailboxQuota: "2Gi" } } },
    { line: "max_mailbox_size = 100", spec: { accounts: { mailboxQuota: "100Mi" } } },
    { line: "max_mailbox_size = 100mb", spec: { accounts: { mailboxQuota: "100Mi" } } },
    { line: "max_message_size = 20971520", spec: { messages: { maxSize: "20Mi" } } },
    { line: "max_message_size = 20000000", spec: { messages: { maxSize: "20000000" } } },
    { line: "delete_inactive_users_after = 30", spec: { accounts: { deleteInactiveAfterDays: 30 } } },
    { line: "min_free_disk_space = 5G", spec: { accounts: { refuseNew: { diskBelow: "5Gi" } } } },
    { line: "max_imap_connections = 50000", spec: { network: { connections: { imap: 50_000 } } } },
    { line: "acme_email = root@nine.example.org", spec: { certificate: { acme: { email: "root@nine.example.org" } } } },
    { line: "disable_ipv6 = True", spec: { network: { ipFamilyPolicy: "SingleStack" } } },
    {
      line: "iroh_relay = https://iroh.example.org/",
      spec: { services: { iroh: { url: "https://iroh.example.org" } } },
    },
    { line: "privacy_mail = a@nine.example.org", spec: { privacy: { mail: "a@nine.example.org" } } },
    { line: "privacy_pdo = Jane Doe", spec: { privacy: { dataOfficer: "Jane Doe" } } },
    { line: "privacy_postal =\n  Street 1\n  Town", spec: { privacy: { postal: "Street 1 Town" } } },
    { line: "filtermail_smtp_port = 10080", spec: {} },
    { line: "iroh_relay =", spec: {} },
    { line: "imap_rawlog = false", spec: {} },
  ])("$line", ({ line, spec }) => {
    const { fields: _, ...found } = specOf(line);
    expect(found).toEqual({ spec: { domain, ...spec }, unknown: [], notes: [] });
  });

  test.each([
    { line: "delete_mails_after = 100", note: /^delete_mails_after = 100: left out\. .*20/ },
    { line: "max_user_send_burst_size = many", note: /left out/ },
    { line: "max_mailbox_size = much", note: /max_mailbox_size = much: left out/ },
    { line: "www_folder = /root/www", note: /website\.configMapName/ },
    { line: "tls_external_cert_and_key = /a /b", note: /certificate\.secret\.name/ },
    { line: "imap_compress = true", note: /hibernate/ },
    { line: "max_load_1m = 20", note: /loadPerCoreAbove/ },
    { line: "passthrough_senders = a@b.example", note: /no exceptions/ },
    // each for itself can be, not both
    { line: "username_min_length = 20", note: /usernameMinLength/ },
  ])("$line has to be looked at", ({ line, note }) => {
    const { spec, notes } = specOf(line);
    expect(notes).toEqual([expect.stringMatching(note)]);
    expect(ChatmailServerSpec.safeParse({ ...spec, domain }).success).toBe(true);
  });

  test("two that only go together", () => {
    const { spec, notes } = specOf("username_min_length = 12\nusername_max_length = 15");
    expect(spec).toMatchObject({ accounts: { usernameMinLength: 12, usernameMaxLength: 15 } });
    expect(notes).toEqual([]);
  });

  test("unknown ones are named, and a relay that makes no addresses stays so", () => {
    const { spec, unknown } = specOf("fancy = 1\n[other]\nx = y", { closed: true });
    expect(unknown).toEqual(["fancy", "[other] x"]);
    expect(spec).toEqual({ domain, accounts: { registration: "Closed" } });
  });
});

test("where the server has other values", () => {
  const ini = specOf("max_mailbox_size = 1024M\nmax_user_send_per_minute = 90\nprivacy_mail = a@b.example");
  const ours = ChatmailServerSpec.parse({
    domain,
    accounts: { mailboxQuota: "1Gi", sendRatePerMinute: 70, sendBurst: 7 },
  });
  expect(differences(ini, ours)).toEqual([
    { field: "accounts.sendRatePerMinute", theirs: 90, ours: 70 },
    // also where it is the built-in one
    { field: "accounts.sendBurst", theirs: 10, ours: 7 },
    { field: "privacy.mail", theirs: "a@b.example", ours: undefined },
  ]);
});
