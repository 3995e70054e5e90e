import { expect, test } from "vitest";
import { krewManifest } from "../../../scripts/plugin.ts";

test("the manifest for krew names what the archive has", () => {
  const url = "https://example.org/releases/v1.2.3/kubectl-chatmail.tar.gz";
  const manifest = krewManifest({ version: "1.2.3", url, sha256: "ab".repeat(32) });
  expect(manifest).toMatchObject({
    metadata: { name: "chatmail" },
    spec: {
      version: "v1.2.3",
      homepage: "https://example.org/releases/v1.2.3/",
      platforms: [
        {
          uri: url,
          sha256: "ab".repeat(32),
          bin: "kubectl-chatmail.mjs",
          files: [{ from: "kubectl-chatmail.mjs" }, { from: "LICENSE" }, { from: "licences.txt" }],
        },
      ],
    },
  });
});
