// Poses of egostream in C++17: libzmq by cppzmq, msgpack-cxx. Joints are in OpenXR's axes: x right, y up, z backward.
//
//     egostream::PoseReceiver poses("tcp://127.0.0.1:5570", "0");
//     if (auto pose = poses.newest(std::chrono::milliseconds(0))) use(pose->joints[egostream::LEFT_WRIST]);
//
// One thread per receiver. What the messages hold: ../../messages.md.
#pragma once

#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <zmq.hpp>

#include <msgpack.hpp>

namespace egostream {

enum Joint {
    NECK,
    RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST,
    LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST,
    RIGHT_HIP, RIGHT_KNEE, RIGHT_ANKLE, RIGHT_FOOT,
    LEFT_HIP, LEFT_KNEE, LEFT_ANKLE, LEFT_FOOT,
    JOINT_COUNT
};
constexpr int VERSION = 1;
constexpr std::int64_t SAME_CLOCK_NS = 1'000'000'000;  // wall clocks that differ by less belong to one monotonic clock
constexpr std::array<double, 3> OPENXR = {1, -1, -1};  // camera axes (x right, y down, z forward) times this

// A message that is no pose of this version: say so and go on.
struct BadMessage : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class Clock>
std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

struct Pose {
    std::string stream;
    std::int64_t seq = 0, t_capture_ns = 0, clock_offset_ns = 0;
    std::array<std::array<double, 3>, JOINT_COUNT> joints{};  // metres
    std::array<double, JOINT_COUNT> confidence{};             // 0..1

    // Time since capture: by the monotonic clock where it is the publisher's, else by the wall clocks.
    double age_ms() const {
        const auto monotonic = now_ns<std::chrono::steady_clock>(), wall = now_ns<std::chrono::system_clock>();
        const bool same_clock = std::abs(wall - monotonic - clock_offset_ns) < SAME_CLOCK_NS;
        return (same_clock ? monotonic - t_capture_ns : wall - t_capture_ns - clock_offset_ns) / 1e6;
    }
};

// The value of a key. Other keys are left alone: later releases add some.
inline const msgpack::object& value_of(const msgpack::object& map, const char* key) {
    if (map.type != msgpack::type::MAP) throw BadMessage("not a map");
    for (const auto& pair : map.via.map)
        if (pair.key.type == msgpack::type::STR && pair.key.as<std::string>() == key) return pair.val;
    throw BadMessage(std::string("no key ") + key);
}

inline double finite(const msgpack::object& value) {
    const double number = value.as<double>();
    if (!std::isfinite(number)) throw BadMessage("a number that is not finite");
    return number;
}

inline const msgpack::object_array& array_of(const msgpack::object& value, std::uint32_t size) {
    if (value.type != msgpack::type::ARRAY || value.via.array.size != size)
        throw BadMessage("not 15 joints of three numbers, and a confidence for each");
    return value.via.array;
}

inline Pose pose_from(const msgpack::object& map) {
    if (value_of(map, "v").as<int>() != VERSION) throw BadMessage("another message version than this client's, 1");
    if (value_of(map, "frame").as<std::string>() != "camera") throw BadMessage("unknown axes");
    Pose pose;
    pose.stream = value_of(map, "stream").as<std::string>();
    pose.seq = value_of(map, "seq").as<std::int64_t>();
    pose.t_capture_ns = value_of(map, "t_capture_ns").as<std::int64_t>();
    pose.clock_offset_ns = value_of(map, "clock_offset_ns").as<std::int64_t>();
    const auto& joints = array_of(value_of(map, "joints"), JOINT_COUNT);
    const auto& confidence = array_of(value_of(map, "confidence"), JOINT_COUNT);
    for (int joint = 0; joint < JOINT_COUNT; ++joint) {
        const auto& point = array_of(joints.ptr[joint], 3);
        for (int axis = 0; axis < 3; ++axis) pose.joints[joint][axis] = OPENXR[axis] * finite(point.ptr[axis]);
        pose.confidence[joint] = finite(confidence.ptr[joint]);
    }
    return pose;
}

// A pose from one ZeroMQ frame: topic, NUL, msgpack map. Throws BadMessage for anything else.
inline Pose read_pose(const char* data, std::size_t size) {
    const auto* nul = static_cast<const char*>(std::memchr(data, 0, size));
    if (nul == nullptr) throw BadMessage("no topic");
    std::size_t offset = nul + 1 - data;
    // What a message claims to hold is believed up to its own size, and no nest is deep: garbage costs no memory.
    const msgpack::unpack_limit limit(size, size, size, size, size, 32);
    try {
        const auto unpacked = msgpack::unpack(data, size, offset, nullptr, nullptr, limit);
        if (offset != size) throw BadMessage("bytes after the map");
        return pose_from(unpacked.get());
    } catch (const msgpack::unpack_error& error) {
        throw BadMessage(std::string("msgpack: ") + error.what());
    } catch (const msgpack::type_error&) {
        throw BadMessage("a value of another type");
    }
}

class PoseReceiver {
  public:
    // Throws zmq::error_t for an endpoint that is none. ZeroMQ connects again by itself when the publisher restarts.
    PoseReceiver(const std::string& endpoint, const std::string& stream) : socket(context, zmq::socket_type::sub) {
        socket.set(zmq::sockopt::conflate, true);  // before connect, or it has no effect
        socket.set(zmq::sockopt::linger, 0);
        socket.set(zmq::sockopt::subscribe, "pose/" + stream + '\0');  // with the NUL, or pose/1 also matches pose/10
        socket.connect(endpoint);
    }

    // The newest pose not returned before; nothing when none came within the timeout. Throws BadMessage.
    std::optional<Pose> newest(std::chrono::milliseconds timeout) {
        socket.set(zmq::sockopt::rcvtimeo, static_cast<int>(timeout.count()));
        zmq::message_t message;
        if (!socket.recv(message)) return std::nullopt;
        return read_pose(message.data<char>(), message.size());
    }

  private:
    zmq::context_t context;
    zmq::socket_t socket;
};

// Counts the frames that went by without a pose here: dropped by the run, lost on the way, or replaced unread.
struct Missed {
    std::int64_t count = 0, last_seq = -1;

    // Count the gap before a pose; false where the publisher began anew.
    bool saw(std::int64_t seq) {
        const bool goes_on = seq > last_seq;
        if (goes_on && last_seq >= 0) count += seq - last_seq - 1;
        last_seq = seq;
        return goes_on;
    }
};

}  // namespace egostream
