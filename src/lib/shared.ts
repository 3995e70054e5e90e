/**
 * Callers share one pending promise. If it is still pending after `patienceMs`, the next call
 * starts another.
 */
export function shared<T>(ask: () => Promise<T>, patienceMs: number): () => Promise<T> {
  let asked: { answer: Promise<T>; at: number } | undefined;
  return () => {
    if (asked && performance.now() - asked.at < patienceMs) return asked.answer;
    const mine = { answer: ask(), at: performance.now() };
    asked = mine;
    const end = () => {
      if (asked === mine) asked = undefined;
    };
    mine.answer.then(end, end);
    return mine.answer;
  };
}
