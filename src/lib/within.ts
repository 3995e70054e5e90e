/**
 * What `work` gives, or `late` where that takes longer than `ms`; the work itself goes on. A
 * failure in time is passed on.
 */
export async function within<Value, Late>(work: Promise<Value>, ms: number, late: Late): Promise<Value | Late> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<Late>((resolve) => {
    timer = setTimeout(() => resolve(late), ms);
  });
  try {
    return await Promise.race([work, patience]);
  } finally {
    clearTimeout(timer);
  }
}
