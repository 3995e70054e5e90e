import { afterEach, expect, test } from "vitest";
import { EventRecorder } from "../../../src/kube/events.ts";
import {
  type Answer,
  aPod,
  type FakeApiServer,
  fakeApiServer,
  keptLog,
  statusAnswer,
} from "../../helpers/fake-api-server.ts";
import { until } from "../../helpers/until.ts";

let server: FakeApiServer;
let recorder: EventRecorder;
afterEach(async () => {
  await recorder.close(100);
  await server?.close();
});

async function recording(answer: () => Answer) {
  server = await fakeApiServer(answer);
  recorder = new EventRecorder({
    client: server.client,
    component: "example.org/us",
    instance: "pod-1",
    log: keptLog(),
  });
  return recorder;
}
const fine: () => Answer = () => ({ status: 201, json: {} });
const note = { type: "Warning", reason: "Broken", note: "it is broken" } as const;

test("an event says who, what, about which object", async () => {
  const { note: say } = bound(await recording(fine));
  say(note);
  await until("the event", () => server.requests.length === 1);
  expect(server.requests[0]).toMatchObject({
    method: "POST",
    path: "/apis/events.k8s.io/v1/namespaces/a/events",
    body: {
      ...note,
      action: "Reconciling",
      reportingController: "example.org/us",
      reportingInstance: "pod-1",
      regarding: { kind: "Pod", namespace: "a", name: "p", uid: "uid-p" },
      eventTime: expect.stringMatching(/\.\d{6}Z$/),
    },
  });
});

test("said again it is counted; another reason or text is another event", async () => {
  const { note: say } = bound(await recording(fine));
  for (let time = 0; time < 5; time++) say(note);
  say({ ...note, reason: "Other" });
  say({ ...note, note: "it is broken in another way" });
  await recorder.close();
  const posts = server.requests.filter(({ method }) => method === "POST");
  const patches = server.requests.filter(({ method }) => method === "PATCH");
  expect(posts.map(({ body }) => (body as typeof note).reason)).toEqual(["Broken", "Other", "Broken"]);
  expect(patches.map(({ body }) => body)).toEqual([{ series: { count: 5, lastObservedTime: expect.any(String) } }]);
});

test("about one object there are so many and no more; about another there still are", async () => {
  const { note: say } = bound(await recording(fine));
  for (let nth = 0; nth < 40; nth++) say({ ...note, note: `fault ${nth}` });
  recorder.note(aPod("q", "1"), note);
  await recorder.close();
  expect([server.requests.length, recorder.dropped]).toEqual([26, 15]);
});

test("a server that refuses, hangs or is gone holds nobody up and throws nothing", async () => {
  const { note: say } = bound(await recording(() => statusAnswer(403, "Forbidden", "no")));
  say(note);
  await until("the refusal", () => recorder.dropped === 1);
  await server.close();
  say({ ...note, reason: "Gone" });
  await recorder.close(50);
  say(note);
});

test("what can't be said is left unsaid", async () => {
  await recording(fine);
  recorder.note({} as never, note);
  expect(recorder.dropped).toBe(1);
});

test("a note that comes as the last one was sent is sent as well", async () => {
  const sent: string[] = [];
  for (let later = 0; later < 12; later++) {
    sent.length = 0;
    const client = {
      create: async (_resource: unknown, object: unknown) => {
        sent.push((object as { reason: string }).reason);
        let step = Promise.resolve();
        for (let nth = 0; nth < later; nth++) step = step.then(() => {});
        if (sent.length === 1) void step.then(() => recorder.note(aPod("p", "1"), { ...note, reason: "Later" }));
        return object;
      },
    };
    recorder = new EventRecorder({ client: client as never, component: "c", instance: "i", log: keptLog() });
    recorder.note(aPod("p", "1"), note);
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent, `${later} steps later`).toEqual(["Broken", "Later"]);
  }
});

test("an event that was made although no answer came is not made again, and is counted on", async () => {
  let asked = 0;
  const { note: say } = bound(
    await recording(() => (++asked === 1 ? statusAnswer(409, "AlreadyExists", "exists") : { json: {} })),
  );
  say(note);
  say(note);
  await recorder.close();
  expect([server.requests.map(({ method }) => method), recorder.dropped]).toEqual([["POST", "PATCH"], 0]);
});

function bound(by: EventRecorder) {
  return { note: (what: Parameters<EventRecorder["note"]>[1]) => by.note(aPod("p", "1"), what) };
}
