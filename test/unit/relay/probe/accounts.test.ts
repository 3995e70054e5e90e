import { expect, test } from "vitest";
import { plainAddress } from "../../../../src/mail/address.ts";
import { localAddress, localRecipient, plainRecipient } from "../../../../src/relay/domains.ts";
import { ProbeAccounts, withoutProbes } from "../../../../src/relay/probe/accounts.ts";
import { limits, settings } from "../settings.ts";

const domains = ["chat.example", "_nine.test", "198.51.100.7"] as const;
// whatever lengths registration allows
const anyName = limits({ usernameMinLength: 1, usernameMaxLength: 64 });
const config = settings({ domains: Object.fromEntries(domains.map((domain) => [domain, anyName])) });

test.each(domains)("of %s: no address that anybody else may have, and one that mail can be sent to", (domain) => {
  const { sender, recipient } = new ProbeAccounts(config).open(domain);
  expect(sender.address).not.toBe(recipient.address);
  for (const { address } of [sender, recipient]) {
    expect(plainAddress(address)).toBe(address);
    expect(address.indexOf("@")).toBeLessThanOrEqual(64);
    for (const spelt of [address, address.toUpperCase(), address.replace("@", "+detail@")]) {
      expect(localAddress(config, spelt)).toBeUndefined();
      expect(localRecipient(config, spelt)).toBeUndefined();
      expect(plainRecipient(config, spelt)).toBeUndefined();
    }
  }
});

test("they have other names and passwords each time", () => {
  const accounts = new ProbeAccounts(config);
  const all = [1, 2].flatMap(() =>
    Object.values(accounts.open("chat.example")).filter((each) => typeof each === "object"),
  );
  expect(new Set(all.flatMap(({ address, password }) => [address, password])).size).toBe(8);
});

test.each([
  { what: "the sender submits", service: "submission", who: "sender", is: "ok" },
  { what: "the recipient reads", service: "imap", who: "recipient", is: "ok" },
  { what: "the sender does not read", service: "imap", who: "sender", is: undefined },
  { what: "the recipient does not submit", service: "submission", who: "recipient", is: undefined },
  { what: "another password", service: "imap", who: "recipient", password: "correct horse", is: "wrongPassword" },
  { what: "no password", service: "imap", who: "recipient", password: "", is: "wrongPassword" },
  { what: "from outside", service: "imap", who: "recipient", client: "192.0.2.1", is: "wrongPassword" },
  { what: "from outside", service: "submission", who: "sender", client: "2001:db8::1", is: "wrongPassword" },
  { what: "from nobody knows where", service: "submission", who: "sender", client: "", is: "wrongPassword" },
] as const)("login: $what is $is", ({ service, who, is, ...other }) => {
  const accounts = new ProbeAccounts(config);
  const pair = accounts.open("chat.example");
  const given = { ...pair[who], ...("password" in other && { password: other.password }) };
  const client = "client" in other ? other.client : "127.0.0.1";
  expect(accounts.login(service, given, client)?.kind).toBe(is);
  accounts.close(pair);
  expect(accounts.login(service, given, client)).toBeUndefined();
});

test("a mailbox exists for the recipient, as long as the message is on its way and the domain is served", () => {
  const own = settings({ domains: { "chat.example": limits() } });
  const accounts = new ProbeAccounts(own);
  const pair = accounts.open("chat.example");
  const { address } = pair.recipient;
  const home = `${own.mailFolder}/.probe/chat.example`;
  expect(accounts.mailbox(address.toUpperCase())).toMatchObject({ address, domain: "chat.example", home });
  expect(accounts.mailbox(pair.sender.address)).toBeUndefined();
  expect(accounts.sending(pair.sender.address)).toMatchObject({ recipient: address });
  expect(accounts.sending(address)).toBeUndefined();
  expect([accounts.delivered("alice1234@chat.example"), pair.isDelivered]).toEqual([false, false]);
  expect([accounts.delivered(address), pair.isDelivered]).toEqual([true, true]);
  own.domains = {};
  expect(accounts.mailbox(address)).toBeUndefined();
  expect(accounts.sending(pair.sender.address)).toBeUndefined();
  own.domains = { "chat.example": limits() };
  accounts.close(pair);
  expect(accounts.mailbox(address)).toBeUndefined();
  expect(accounts.delivered(address)).toBe(false);
});

test.each(domains)("what people read does not name them: %s", (domain) => {
  const { sender } = new ProbeAccounts(config).open(domain);
  expect(withoutProbes(`550 5.1.1 <${sender.address}>: no such user, ${sender.address}. End`)).toBe(
    "550 5.1.1 <probe>: no such user, <probe>. End",
  );
});
