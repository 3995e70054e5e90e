/**
 * `npm run demo`: the main job, from a machine with nothing: a cluster, the images, the operator,
 * two relays by `kubectl apply`, and two Delta Chat clients who write to each other. Leaves the
 * cluster for a look around.
 */
import { spawn } from "node:child_process";
import { messageOf } from "../src/lib/text.ts";
import { labExecArgs, labUp, loadImage } from "../test/lab/lab.ts";
import { buildImages } from "./images.ts";
import { readOptions } from "./options.ts";

readOptions("npm run demo", {});
try {
  console.log("Chatmail Operator: two relays in a cluster, and a message between them\n");
  await labUp({});
  const images = await buildImages();
  await loadImage(images.operator.archive);
  await loadImage(images.relay.archive);

  // What follows needs the cluster's addresses and names, which exist only inside the lab.
  const [program = "", ...args] = labExecArgs([
    "node",
    "scripts/demo-story.ts",
    images.operator.name,
    images.relay.name,
  ]);
  const story = spawn(program, args, { stdio: "inherit" });
  process.exitCode = await new Promise<number>((resolve, reject) => {
    story.on("error", reject);
    story.on("exit", (code) => resolve(code ?? 1));
  });
} catch (thrown) {
  console.error(`\n${messageOf(thrown)}`);
  process.exitCode = 1;
}
