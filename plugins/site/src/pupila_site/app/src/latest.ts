/** Does work for the latest request: while some is being done, only the newest request waits. */
export class Latest<Request> {
  private readonly work: (request: Request) => Promise<void>;
  private waiting: { readonly request: Request } | null = null;
  private busy = false;

  constructor(work: (request: Request) => Promise<void>) {
    this.work = work;
  }

  async ask(request: Request): Promise<void> {
    this.waiting = { request };
    if (this.busy) return;
    this.busy = true;
    try {
      for (let next = this.take(); next; next = this.take()) await this.work(next.request);
    } finally {
      this.busy = false;
    }
  }

  /** Forget the request that waits. */
  drop(): void {
    this.waiting = null;
  }

  private take() {
    const next = this.waiting;
    this.waiting = null;
    return next;
  }
}
