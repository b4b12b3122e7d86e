// Event classes that not every runtime has (Node 20 lacks CloseEvent and ErrorEvent).

export const CloseEvent =
  globalThis.CloseEvent ??
  class CloseEvent extends Event {
    constructor(type, { code = 0, reason = "", wasClean = false, ...init } = {}) {
      super(type, init);
      Object.assign(this, { code, reason, wasClean });
    }
  };

export const ErrorEvent =
  globalThis.ErrorEvent ??
  class ErrorEvent extends Event {
    constructor(type, { message = "", error = null, ...init } = {}) {
      super(type, init);
      Object.assign(this, { message, error });
    }
  };
