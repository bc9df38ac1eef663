// The engine that asks the service this page came from.

/**
 * @returns {Promise<{model: object, recognize: Function, explain: Function}>} The same
 *   functions as the engine of browser.js.
 */
export async function openEngine() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};

  async function ask(path, body) {
    let answer;
    try {
      answer = await fetch(path, { method: body ? "POST" : "GET", headers, body });
    } catch {
      throw new Error("The service does not answer; is it still running?");
    }
    const content = await answer.json().catch(() => ({ error: answer.statusText }));
    if (!answer.ok) {
      const token = "This service needs its token: open its address with #token=… at the end.";
      const error = new Error(answer.status === 401 ? token : content.error);
      error.retry = answer.status === 503;
      throw error;
    }
    return content;
  }

  async function form(source, name) {
    const data = new FormData();
    data.append("file", await toBlob(source), name.replaceAll(/[/\\]/g, "_"));
    return data;
  }

  return {
    model: await ask("v1/model"),
    recognize: async (source, name = "picture", prior = undefined) => {
      const query = new URLSearchParams(prior ? { prior } : {});
      return ask(`v1/recognize?${query}`, await form(source, name));
    },
    explain: async (source, face, target, prior) => {
      const query = new URLSearchParams({
        face,
        ...(target ? { target } : {}),
        ...(prior ? { prior } : {}),
      });
      return ask(`v1/explain?${query}`, await form(source, "picture"));
    },
  };
}

/** Frames are sent as JPEG, files as they are. */
function toBlob(source) {
  if (source instanceof Blob) return source;
  return new Promise((done) => source.toBlob(done, "image/jpeg", 0.92));
}
