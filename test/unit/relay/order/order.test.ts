import { beforeEach, expect, test, vi } from "vitest";
import { DeliveryOrder } from "../../../../src/relay/order/order.ts";

const alice = "alice@a.test";
const bob = "bob@b.test";
const carol = "carol@c.test";

let late: number;
let took: number[];
let order: DeliveryOrder;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  late = 0;
  took = [];
  order = new DeliveryOrder({
    isReported: (recipient) => !recipient.endsWith("@unreported.test"),
    onEnded: (ms) => took.push(ms),
    onLate: () => late++,
    now: Date.now,
    patienceMs: 3000,
  });
  return () => vi.useRealTimers();
});

/** Whether its turn comes at once. */
async function isNow(turn: Promise<void>): Promise<boolean> {
  let now = false;
  void turn.then(() => {
    now = true;
  });
  await vi.advanceTimersByTimeAsync(0);
  return now;
}
const mail = (sender: string, ...recipients: string[]) => ({ sender, recipients });

test.each([
  { second: mail(alice, bob), waits: true },
  { second: mail("Alice@A.test", "BOB@b.test"), waits: true },
  { second: mail(alice, carol, bob), waits: true },
  { second: mail(alice, carol), waits: false },
  { second: mail(carol, bob), waits: false },
])(
  "while a mail of alice to bob is delivered, one of $second.sender to $second.recipients waits: $waits",
  async ({ second, waits }) => {
    expect(await isNow(order.turn(mail(alice, bob)))).toBe(true);
    expect(await isNow(order.turn(second))).toBe(!waits);
  },
);

test("they go on one by one, in their order", async () => {
  const seen: number[] = [];
  for (const count of [1, 2, 3]) void order.turn(mail(alice, bob)).then(() => seen.push(count));
  for (const count of [1, 2, 3]) {
    await vi.advanceTimersByTimeAsync(10);
    expect(seen).toEqual([1, 2, 3].slice(0, count));
    order.ended(mail(alice, bob));
  }
  expect(order.size).toBe(0);
});

test("how long each delivery took is told once, and nothing of what was not begun", async () => {
  await order.turn(mail(alice, bob, carol));
  await vi.advanceTimersByTimeAsync(20);
  order.ended(mail(alice, bob));
  await vi.advanceTimersByTimeAsync(30);
  for (let times = 0; times < 2; times++) order.ended(mail(alice, bob, carol));
  order.ended(mail(carol, bob));
  expect(took).toEqual([20, 50]);
});

test("one that is not waited for any more took as long as it was waited for", async () => {
  await order.turn(mail(alice, bob));
  const second = order.turn(mail(alice, bob));
  await vi.advanceTimersByTimeAsync(3000);
  await second;
  expect(took).toEqual([3000]);
});

test("of several recipients, each has its own order", async () => {
  await order.turn(mail(alice, bob, carol));
  order.ended(mail(alice, carol));
  expect(await isNow(order.turn(mail(alice, carol)))).toBe(true);
  const toBoth = order.turn(mail(alice, bob, carol));
  order.ended(mail(alice, bob));
  expect(await isNow(toBoth)).toBe(false);
  order.ended(mail(alice, carol));
  expect(await isNow(toBoth)).toBe(true);
});

test("bounces, and deliveries whose end nobody reports, are not waited for", async () => {
  for (const each of [mail("", bob), mail(alice, "x@unreported.test")]) {
    await order.turn(each);
    expect(await isNow(order.turn(each))).toBe(true);
  }
  expect(order.size).toBe(0);
});

test("a late delivery is waited for once; when it ends after all, order begins again", async () => {
  await order.turn(mail(alice, bob));
  const second = order.turn(mail(alice, bob));
  await vi.advanceTimersByTimeAsync(2999);
  expect(await isNow(second)).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(await isNow(second)).toBe(true);
  for (let count = 0; count < 5; count++) expect(await isNow(order.turn(mail(alice, bob)))).toBe(true);
  expect(late).toBe(1);
  order.ended(mail(alice, bob));
  expect(await isNow(order.turn(mail(alice, bob)))).toBe(true);
  expect(await isNow(order.turn(mail(alice, bob)))).toBe(false);
});

test("after five minutes it is waited for again", async () => {
  await order.turn(mail(alice, bob));
  const second = order.turn(mail(alice, bob));
  await vi.advanceTimersByTimeAsync(3000);
  await second;
  await vi.advanceTimersByTimeAsync(300_000);
  expect(await isNow(order.turn(mail(alice, bob)))).toBe(true);
  expect(await isNow(order.turn(mail(alice, bob)))).toBe(false);
});

test("what nobody reports is forgotten after twice the patience", async () => {
  for (let count = 0; count < 1000; count++) await order.turn(mail(alice, `bob${count}@b.test`));
  expect(order.size).toBe(1000);
  await vi.advanceTimersByTimeAsync(6000);
  await order.turn(mail(alice, carol));
  expect(order.size).toBe(1);
});

test("at the end nothing waits", async () => {
  await order.turn(mail(alice, bob));
  const second = order.turn(mail(alice, bob));
  order.stop();
  expect(await isNow(second)).toBe(true);
  expect(await isNow(order.turn(mail(alice, bob)))).toBe(true);
});
