"use strict";
// Hands on what the microphone hears, a block at a time.
class Listener extends AudioWorkletProcessor {
  process(inputs) {
    if (inputs[0].length) this.port.postMessage(inputs[0][0].slice());
    return true;
  }
}
registerProcessor("listener", Listener);
