/**
 * `npm run demo`: the main job, from a machine with nothing: a cluster, the images, the operator,
 * two relays by `kubectl apply`, and two Delta Chat clients who write to each other. Leaves the
 * cluster for a look around. `--plain`: one relay without a cluster, for who wants to see one soon.
 */
import { messageOf } from "../src/lib/text.ts";
import { labUp, loadImage } from "../test/lab/lab.ts";
import { buildImages } from "./images.ts";
import { inLab } from "./in-lab.ts";
import { readOptions, refuse } from "./options.ts";
import { plainDemo } from "./plain-demo.ts";

const usage = "npm run demo [-- --plain [--image NAME]]";
const { values } = readOptions(usage, {
  options: { plain: { type: "boolean", default: false }, image: { type: "string" } },
});
if (values.image !== undefined && !values.plain) refuse("--image goes with --plain", usage);

/** Gives the exit code. */
async function clusterDemo(): Promise<number> {
  console.log("Chatmail Operator: two relays in a cluster, and a message between them\n");
  await labUp({});
  const images = await buildImages();
  await loadImage(images.operator.archive);
  await loadImage(images.relay.archive);
  return inLab("scripts/demo-story.ts", images.operator.name, images.relay.name);
}

try {
  process.exitCode = await (values.plain ? plainDemo(values.image) : clusterDemo());
} catch (thrown) {
  console.error(`\n${messageOf(thrown)}`);
  process.exitCode = 1;
}
