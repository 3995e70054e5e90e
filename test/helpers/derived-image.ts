/** An image like the relay's, known to the nodes of the lab's cluster. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { docker } from "../lab/docker.ts";
import { loadImage } from "../lab/lab.ts";
import { relayImage } from "./relay-image.ts";

/** In the same repository, so that a server may name it. `replaced`: another text of a file. */
async function derivedImage(tag: string, replaced: { at: string; text: string }): Promise<string> {
  const image = await relayImage();
  const [repository, base] = image.split(":");
  const name = `${repository}:${tag}-${base}`;
  const folder = mkdtempSync(join(tmpdir(), "derived-"));
  const container = await docker(["create", image]);
  try {
    const file = join(folder, "file");
    writeFileSync(file, replaced.text, { mode: 0o755 });
    await docker(["cp", file, `${container}:${replaced.at}`]);
    await docker(["commit", container, name]);
  } finally {
    await docker(["rm", container]);
    rmSync(folder, { recursive: true, force: true });
  }
  await loadImage(name);
  await docker(["rmi", name]);
  return name;
}

/** Its nginx refuses every configuration. */
export const brokenNginx = () =>
  derivedImage("broken-nginx", {
    at: "/usr/sbin/nginx",
    text: "#!/bin/sh\necho 'nginx: [emerg] this build is broken' >&2\nexit 1\n",
  });

/** Its checks pass, and its daemon ends at once. */
export const brokenDaemon = () =>
  derivedImage("broken-daemon", { at: "/opt/chatmail/relay.js", text: "process.exit(1);\n" });

/** The same under another name. */
export const sameImage = () => derivedImage("same", { at: "/opt/chatmail/same", text: "" });
