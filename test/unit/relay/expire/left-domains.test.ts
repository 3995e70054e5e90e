import { mkdirSync, mkdtempSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Domains } from "../../../../src/relay/domains.ts";
import { leftDomains } from "../../../../src/relay/expire/left-domains.ts";

test("every domain folder of the volume is found, by the shortest limits, and nothing else", () => {
  const mailFolder = mkdtempSync(join(tmpdir(), "left-domains-"));
  for (const name of ["_new.test", "_old.test", "older.example", "192.0.2.7", ".hidden.test", "lost+found"])
    mkdirSync(join(mailFolder, name));
  symlinkSync("/", join(mailFolder, "link.test"));
  const short = { deleteAfterDays: 5 };
  const domains = { "_new.test": { deleteAfterDays: 20 }, "_two.test": short };
  const left = leftDomains({ mailFolder, domains } as unknown as Domains);
  expect(left).toEqual({ "_old.test": short, "older.example": short, "192.0.2.7": short });
});
