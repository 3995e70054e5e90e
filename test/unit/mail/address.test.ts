import { expect, test } from "vitest";
import { addressDomain, mailDomainOf, plainAddress, signsMail } from "../../../src/mail/address.ts";

test.each([
  { domain: "nine.example.org", stands: "nine.example.org", signs: true },
  { domain: "_nine.test", stands: "_nine.test", signs: true },
  { domain: "192.0.2.7", stands: "[192.0.2.7]", signs: false },
  { domain: "2001:db8::9", stands: "[ipv6:2001:db8::9]", signs: false },
])("behind the @ of an address of $domain stands $stands", ({ domain, stands, signs }) => {
  expect(addressDomain(domain)).toBe(stands);
  expect(signsMail(domain)).toBe(signs);
  expect(mailDomainOf(`A@${stands}`)).toBe(domain);
  expect(plainAddress(`A@${stands}`)).toBe(`a@${stands}`);
});

test.each([
  ["a@[IPv6:2001:DB8::9]", "2001:db8::9"],
  ["a@[ipv6:2001:db8:0::9]", "2001:db8:0::9"],
  ["a@[2001:db8::9]", "[2001:db8::9]"],
  ["a@[ipv6:192.0.2.7]", "[ipv6:192.0.2.7]"],
  ["a@[ipv6:::ffff:192.0.2.7]", "[ipv6:::ffff:192.0.2.7]"],
])("%s is of the mail domain %s", (address, domain) => expect(mailDomainOf(address)).toBe(domain));

test.each(["a@2001:db8::9", "a@192.0.2.7", "a@[ipv6:2001:db8::9", "a@[ipv6:2001:db8::9]x"])(
  "%s is no plain address",
  (address) => expect(plainAddress(address)).toBeUndefined(),
);
