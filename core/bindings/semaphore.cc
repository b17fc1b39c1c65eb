#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "arrays.h"
#include "bindings.h"

namespace twopass {
namespace {

// Counts what threads may take. Whoever waits does so without the GIL, and is woken without it: a
// thread that is woken by one that holds the GIL runs at once, only to wait again for the GIL.
class Semaphore {
 public:
  void release() {
    {
      const std::lock_guard lock(mutex_);
      ++count_;
    }
    changed_.notify_one();
  }

  void acquire() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_ > 0; });
    --count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t count_ = 0;
};

}  // namespace

void bind_semaphore(nb::module_& m) {
  nb::class_<Semaphore>(
      m, "Semaphore",
      "Counts what threads may take. Waiting and waking are done without the GIL, so that a thread "
      "that is\nwoken can go on at once.")
      .def(nb::init<>(), "Begins with nothing to take.")
      .def("release", &Semaphore::release, nb::call_guard<nb::gil_scoped_release>(),
           "Lets one thread go on; gives up the GIL for a moment.")
      .def("acquire", &Semaphore::acquire, nb::call_guard<nb::gil_scoped_release>(),
           "Waits until there is something to take, and takes it. Signals do not end it.");
}

}  // namespace twopass
