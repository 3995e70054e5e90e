/**
 * `npm run demo`: the main job, from a machine with nothing: a cluster, the images, the operator,
 * two relays by `kubectl apply`, and two Delta Chat clients who write to each other. Leaves the
 * cluster for a look around. `--public`: one relay under an ordinary name, with a name server and
 * an authority. `--plain`: one relay without a cluster, for who wants to see one soon;
 * `--architecture arm64`: that one under emulation.
 */
import { messageOf } from "../src/lib/text.ts";
import { architectureOf } from "../test/lab/emulation.ts";
import { labUp, loadImage } from "../test/lab/lab.ts";
import { buildPebble } from "../test/lab/pebble.ts";
import { terminalProgress } from "../test/lab/progress.ts";
import { buildImages } from "./images.ts";
import { inLab } from "./in-lab.ts";
import { readOptions, refuse } from "./options.ts";
import { plainDemo } from "./plain-demo.ts";

const usage = "npm run demo [-- --public | --plain [--image NAME | --architecture amd64|arm64]]";
const { values } = readOptions(usage, {
  options: {
    public: { type: "boolean", default: false },
    plain: { type: "boolean", default: false },
    image: { type: "string" },
    architecture: { type: "string" },
  },
});
if (values.image !== undefined && !values.plain) refuse("--image goes with --plain", usage);
if (values.architecture !== undefined && !values.plain) refuse("--architecture goes with --plain", usage);
if (values.architecture !== undefined && values.image !== undefined)
  refuse("--image and --architecture exclude each other", usage);
const architecture = values.architecture === undefined ? undefined : architectureOf(values.architecture, usage);
if (values.public && values.plain) refuse("--public and --plain exclude each other", usage);

const stories = {
  usual: { script: "scripts/demo-story.ts", title: "two relays in a cluster, and a message between them" },
  public: { script: "scripts/demo-public.ts", title: "a relay under an ordinary name, from apply to deletion" },
};

/** Gives the exit code. */
async function clusterDemo({ script, title }: (typeof stories)["usual"]): Promise<number> {
  console.log(`Chatmail Operator: ${title}\n`);
  // outside the lab, from where Go modules can be reached
  if (values.public) await buildPebble(terminalProgress());
  await labUp({});
  const images = await buildImages();
  await loadImage(images.operator.archive);
  await loadImage(images.relay.archive);
  return inLab(script, images.operator.name, images.relay.name);
}

try {
  const story = stories[values.public ? "public" : "usual"];
  process.exitCode = await (values.plain ? plainDemo({ image: values.image, architecture }) : clusterDemo(story));
} catch (thrown) {
  console.error(`\n${messageOf(thrown)}`);
  process.exitCode = 1;
}
